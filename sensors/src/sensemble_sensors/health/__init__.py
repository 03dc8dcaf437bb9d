"""Health: faults of a sensor that its samples alone show, such as frozen pictures or a clock that jumps.

The checks of a sample's data belong to its kind (`Kind.checks`); here are those of time, rate and arrival,
and the memory of how long a symptom has lasted.

Doors: `health`.
"""
