"""The pages: the report of a run, the experiment of its matrices, and the contact sheet of a dataset.

A page is one HTML file that loads nothing.

Doors: `report`, `experiment`, `contact_sheet`, `headline` (the scores of a bundle), and `evidence`, which
reads the contents of the first two.
"""
