"""Experiments: the paper's methods and rivals beside what ships, and its published experiments by name.

Nothing here is needed to train what ships (`recipe`); whatever is here calls that.

Doors: `matrix`, `presets`.
"""
