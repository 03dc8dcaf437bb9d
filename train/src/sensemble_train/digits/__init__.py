"""Digits: the embedded dataset. A handwritten digit is filmed, spoken and named in a noisy caption.

It is built offline from a seed, with backgrounds that show no digit. People, voices, pictures, spoken texts
and phrases are on one side each: training, calibration or evaluation. This room needs no torch.

Doors: `build`, `plan`; `spoken_takes`, a small recording as a person would make it.
"""
