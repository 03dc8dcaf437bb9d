"""Prepare: published datasets (AudioSet, Kinetics-400, ImageNet-Captions) in the project's data format.

`lists` reads what a dataset publishes, `index` finds the media and writes `index.jsonl`. No torch is needed.

Doors: `index`.
"""
