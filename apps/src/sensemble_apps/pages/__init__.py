"""The pages: the report of a run, and the experiment of its matrices.

A page is one HTML file that loads nothing.

Doors: `report`, `experiment`, `headline` (the scores of a bundle), and `evidence`, which reads the contents
of the first two.
"""
