"""Kinds: how the samples of one sort of modality are handled, from a sensor to an encoder's window.

A kind is one class: the form of a sample and of a window, the ring that makes windows, the measure of change,
the field in a dataset and its decoding, the track in a recording, the slot in shared memory, the health
checks, the conditions. All that differs between sound, pictures and text is here; `tests/test_kinds.py` lists
the few other places that name a modality. A new kind is a class here and its name in `spec.MODALITIES`.

Doors: `registry` (the kind of a modality), `kind` (what a kind supplies), `interfaces`, `windows`,
`conditions.condition`, `degrading` (streams under conditions).
"""
