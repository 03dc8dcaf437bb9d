"""Training: the one loop, with its optimizer, augmentation, checkpoints, log and scaling.

The loop takes any objective and any sources; it knows nothing of datasets, methods or run folders.

Doors: `loop`, `optim`, `scale`, `augment`.
"""
