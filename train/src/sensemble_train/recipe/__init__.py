"""Recipe: the paper's experiments, from a dataset's folder to the matrix of scores.

`recipe.run` is the way in: it reads the dataset, makes the model and the sources, and trains and scores every
method in a run folder.

Doors: `recipe`, `config`, `experiments`, `planning.derived`, `planning.estimate`, `run_folder`, `pretrain`,
`methods`, `teacher`, `evaluate`.
"""
