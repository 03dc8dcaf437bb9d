"""Recordings: write samples as a dataset that survives a crash, read them back bit for bit, play them.

Also plays datasets and media files, by the same player. Devices and health are not known here: samples come
from any thread.

Doors: `writer` (record), `takes` (list, delete, relabel), `editing` (the index), `reader` (read back),
`replay` (play datasets and files), `header` (the form).
"""
