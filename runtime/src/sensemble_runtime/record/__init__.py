"""The record: sessions and audits in one SQLite file that survives a power cut.

Doors: `writer`, `background`, `reader`, `retention`.
"""
