"""Digits: the embedded dataset. A handwritten digit is filmed, spoken and named in a noisy caption.

It is built offline from a seed, in the project's data format. This room needs no torch.

Doors: `build`.
"""
