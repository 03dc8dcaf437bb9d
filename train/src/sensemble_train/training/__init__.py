"""Training: one loop for any objective and sources, its optimizer, augmentation, checkpoints and log.

It knows nothing of datasets, methods or run folders.

Doors: `loop`, `optim`, `scale`, `augment`.
"""
