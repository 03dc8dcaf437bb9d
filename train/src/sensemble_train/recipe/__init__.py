"""Recipe: what ships, from a dataset's folder to a trained model and its scores.

`recipe.run` is the way in, and reads top to bottom: data, pretraining, specialists, subset distillation, and
scores.

Doors: `recipe`, `cell`, `config`, `planning.derived`, `planning.estimate`, `run_folder`,
`initialization`, `pretrain`, `methods`, `fusion`, `teacher`, `evaluate`, `instant`.
"""
