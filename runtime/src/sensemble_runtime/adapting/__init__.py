"""Adapting: a device learns its own sensors while they run, in closed form, without torch or labels.

Holds what learns from an opinion about a window, judges what was learned, and keeps it beside the bundle.

Doors: `adapter`.
"""
