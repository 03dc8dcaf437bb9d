"""The bundle: measured artifacts become a folder that ships, in one rename.

Holds what writes that folder (the runtime reads it), its README with its templates, its partition report,
what stays of an earlier bundle, and the verification of a bundle on another machine.

Doors: `write`, `earlier`, `verification`, `partition_report`.
"""
