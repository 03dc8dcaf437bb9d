"""Objectives: the losses that the training loop minimizes.

Each is a module that holds the model. An objective knows nothing of steps, ranks' shards or optimizers.

Doors: `objective` (the interface), `backgrounds`, `contrastive`, `imitation`, `task`,
`distillation`, `subset_distillation`.
"""
