"""Kinds: how training handles one sort of modality, such as sound.

A kind is one class: the spec of its input, the configuration of its default encoder, the encoder with the
in-graph front end, and augmentation. A new one is a module here, listed in `registry`, with its counterpart
in `sensemble_sensors.kinds`. No other module of a model asks for a modality's name.

Doors: `registry` (find the kind of a spec), `kind` (the interface), the encoder classes (for CLIP's weights).
"""
