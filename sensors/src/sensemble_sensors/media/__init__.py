"""Media: the data format, and its examples decoded into windows and streams.

Training, the audit and the replay see examples through this room only, so they cannot disagree.

Doors: `dataset` (read an index), `modalities` (what it declares), `decoding` (an example as windows and as a
stream), `streams` (long recordings), `spans` (their labels), `splits`, `division` (which examples to hold
out), `content` (hashes), `leaks` (files in several splits), `dataset_paths`.
"""
