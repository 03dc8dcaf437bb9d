"""Recipe: what ships, from a dataset's folder to a trained model and its scores; begin at `recipe.run`.

Doors: `recipe`, `cell`, `config`, `derived`, `estimate`, `examples`, `run_folder`, `sources`, `pretrain`,
`methods`, `fusion`, `teacher`, `evaluate`, `instant`.
"""
