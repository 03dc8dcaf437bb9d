"""Health: faults that the samples of a sensor show, such as frozen pictures or a clock that jumps.

Checks of a sample's data belong to its kind (`Kind.checks`); checks of time, rate and arrival are here.

Doors: `health`.
"""
