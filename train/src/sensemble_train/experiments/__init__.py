"""Experiments: the paper's models, methods and data sets, and rivals of the shipped method.

`matrix.run` is the way in: it trains vit_b16, clip_b16 or mae_b16, and every method. `recipe` needs nothing
from here.

Doors: `matrix`, `config`, `presets`, `prepare` (published data sets in the data format).
"""
