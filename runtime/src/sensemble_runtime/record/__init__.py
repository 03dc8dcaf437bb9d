"""The record: sessions and audits in one SQLite file that survives a power cut.

Only its tables, writing, reading and bounds belong here.

Doors: `writer`, `background` (write from a thread of its own), `reader`, `retention`.
"""
