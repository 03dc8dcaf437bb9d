"""Kinds: all that differs between sound, pictures and text, from a sensor's sample to an encoder's window.

A kind is one class: samples and windows, the measure of change, the field in a dataset and its decoding, the
track in a recording, health checks, conditions, near windows. A new kind is a class of an installed package
(the entry point group `sensemble.kinds`) or, of ours, one here in `registry.KINDS`. `tests/test_kinds.py`
lists the few other places that name a kind.

Doors: `registry` (the kind of a spec), `kind` (what a kind supplies), `checks`, `excerpt`,
`recording_tracks`, `windows`, `resampling`, `thermal`, `series_files`, `near`, `conditions.condition`.
"""
