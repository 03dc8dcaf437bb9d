"""Recipe: what ships, from a dataset's folder to a trained model and its scores; begin at `recipe.run`.

Doors: `recipe`, `job`, `config`, `estimate`, `examples`, `run_folder`, `methods`, `fusion`, `evaluate`,
`instant`.
"""
