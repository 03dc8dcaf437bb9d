"""Data: examples as tensors, and the order of batches.

A source (`clips.Source`) yields batches of clips for sequences of rows. It is in memory (`clips.Clips`) or on
disk (`experiments.streamed`). This room knows models by their specs and front ends, and nothing of losses.

Doors: `embedded`, `clips`, `batching`, `choice`, `sufficiency` (what a dataset is
too small for), `caption_labels` (how far captions give their labels away).
"""
