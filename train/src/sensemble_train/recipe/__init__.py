"""Recipe: what ships, from a dataset's folder to a trained model and its scores.

`recipe.run` is the way in, and reads top to bottom: data, pretraining, specialists, subset distillation, and
scores.

Doors: `recipe`, `cell`, `config`, `derived`, `estimate`, `examples`, `run_folder`, `sources`, `pretrain`,
`methods`, `fusion`, `teacher`, `evaluate`, `instant`.
"""
