"""When a replay's sensors are unplugged and plugged back: one schedule for real time and for fast replays."""

from dataclasses import dataclass

from sensemble_runtime.subsets import Subset

# The sensor that carries most is the first to go, and the first to come back.
_ORDER = ("video", "audio", "text")


@dataclass(frozen=True)
class Phase:
    """From `start`, a fraction of the stream, the sensors in `plugged` are there and no others."""

    start: float
    plugged: Subset


def steady(modalities: Subset) -> tuple[Phase, ...]:
    """Keep every sensor plugged in throughout."""
    return (Phase(0.0, modalities),)


def come_and_go(modalities: Subset) -> tuple[Phase, ...]:
    """Start with all sensors, unplug all but the last one by one, and plug them back in the same order.

    The phases are equally long; every sensor is there in the first and in the last.
    """
    leaving = [m for m in _ORDER if m in modalities][:-1]
    gone = [leaving[:i] for i in range(len(leaving) + 1)] + [leaving[i:] for i in range(1, len(leaving) + 1)]
    return tuple(
        Phase(i / len(gone), tuple(m for m in modalities if m not in absent)) for i, absent in enumerate(gone)
    )


def phase_at(phases: tuple[Phase, ...], fraction: float) -> Phase:
    """Return the phase that holds at `fraction` of the stream."""
    return max((phase for phase in phases if phase.start <= fraction), key=lambda phase: phase.start)
