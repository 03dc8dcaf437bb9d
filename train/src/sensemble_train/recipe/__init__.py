"""Recipe: the shipped method, from a dataset's folder to a scored model; begin at `recipe.run`.

Doors: `recipe`, `job`, `config`, `estimate`, `examples`, `run_folder`, `methods`, `fusion`, `evaluate`,
`instant`, `linear`.
"""
