"""Experiments: the paper's models, methods and data sets, and rivals, beside what ships.

Nothing here is needed to train what ships (`recipe`); the modules here call that. `matrix.run` is the way in:
it trains the paper's models (vit_b16, clip_b16 from CLIP's weights, mae_b16 by masked autoencoding) and every
method. `prepare` converts AudioSet, Kinetics-400 and ImageNet-Captions.

Doors: `matrix`, `config`, `presets`, `architectures`, `prepare`.
"""
