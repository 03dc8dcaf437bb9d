"""Schedules by which a replay unplugs sensors and plugs them back."""

from dataclasses import dataclass

from sensemble_runtime.subsets import Subset

from sensemble_apps.console.kinds import words_of


@dataclass(frozen=True)
class Phase:
    """The part of the stream from `start`, a fraction of it, with exactly the modalities `plugged`."""

    start: float
    plugged: Subset


def steady(modalities: Subset) -> tuple[Phase, ...]:
    """Keep every sensor plugged in throughout."""
    return (Phase(0.0, modalities),)


def come_and_go(modalities: Subset) -> tuple[Phase, ...]:
    """Start with all sensors, unplug all but the last one by one, and plug them back in the same order.

    All phases are equally long. Every sensor is there in the first phase and in the last.
    """
    # The most important sensor leaves first, and comes back first.
    leaving = sorted(modalities, key=lambda modality: -words_of(modality).weight)[:-1]
    gone = [leaving[:i] for i in range(len(leaving) + 1)] + [leaving[i:] for i in range(1, len(leaving) + 1)]
    return tuple(
        Phase(i / len(gone), tuple(m for m in modalities if m not in absent)) for i, absent in enumerate(gone)
    )


def phase_at(phases: tuple[Phase, ...], fraction: float) -> Phase:
    """Return the phase that holds at `fraction` of the stream."""
    return max((phase for phase in phases if phase.start <= fraction), key=lambda phase: phase.start)
