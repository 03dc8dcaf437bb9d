"""Prepare: published datasets (AudioSet, Kinetics-400, ImageNet-Captions) in the project's data format.

A `survey` per dataset lists its examples and finds their media; `write.write` checks the files and writes the
index. This room needs no torch.

Doors: `audioset`, `kinetics`, `imagenet_captions`, `write`.
"""
