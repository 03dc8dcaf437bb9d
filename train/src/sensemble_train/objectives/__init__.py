"""Objectives: the losses that the training loop minimizes, each a module that holds the model.

Doors: `objective` (the interface), `contrastive`, `imitation`, `task`, `subset_distillation`.
"""
