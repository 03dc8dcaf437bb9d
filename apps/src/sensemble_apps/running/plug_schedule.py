"""Schedules by which a replay unplugs sensors and plugs them back."""

from collections.abc import Sequence

from sensemble_runtime.subsets import Subset

from sensemble_apps.console.kinds import words_of

Schedule = Sequence[Subset]
"""The modalities that are plugged in, in each part of the stream; all parts are equally long."""


def come_and_go(modalities: Subset) -> Schedule:
    """Start with all sensors, unplug all but the last one by one, and plug them back in the same order.

    The most important sensor goes first. Every sensor is there in the first part and in the last.
    """
    leaving = sorted(modalities, key=lambda modality: -words_of(modality).weight)[:-1]
    gone = [leaving[:i] for i in range(len(leaving) + 1)] + [leaving[i:] for i in range(1, len(leaving) + 1)]
    return [tuple(m for m in modalities if m not in absent) for absent in gone]


def plugged_at(schedule: Schedule, fraction: float) -> Subset:
    """Return the modalities that are plugged in at `fraction` of the stream."""
    return schedule[min(int(fraction * len(schedule)), len(schedule) - 1)]
