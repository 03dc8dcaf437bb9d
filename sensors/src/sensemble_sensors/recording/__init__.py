"""Recordings: write samples as a dataset that survives a crash, read them back bit for bit, play them.

The same player plays datasets and media files. Samples come from any thread; devices are not known here.

Doors: `writer` (record), `takes` (list, delete, relabel), `editing` (the index), `reader` (read back),
`replay` (play datasets and files), `header` (the form).
"""
