"""`sensemble train ...`: train on a dataset, run an experiment of the paper, estimate how long it takes."""
