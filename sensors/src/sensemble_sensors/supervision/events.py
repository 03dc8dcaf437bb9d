"""The events of sensors; every `time` is in seconds on the clock of `time.monotonic`."""

from dataclasses import dataclass
from typing import Literal

from sensemble_sensors.errors import (
    SampleError,
    SensembleError,
    SensorEndedError,
    SensorLostError,
    SensorsError,
    SensorUnavailableError,
    text_of,
)

SensorEventKind = Literal[
    "attached", "unhealthy", "doubtful", "recovered", "unavailable", "lost", "ended", "failed", "detached"
]


@dataclass(frozen=True, slots=True)
class SensorEvent:
    """A sensor changed its state.

    Attributes:
        name: as `Session.attach` returned it.
        kind: `attached`: opened; the reason names its conditions. `unhealthy`: its samples cannot be true and
            are not used until it has `recovered`. `doubtful`: they may be wrong and are used. `unavailable`
            (it cannot be opened) and `lost` (it stopped working): it is tried again. `ended` (its source is
            over) and `failed` (no encoder can take its samples): it is not. `detached`: on request.
        reason: one line of text; empty where the kind says all.
    """

    time: float
    name: str
    modality: str
    kind: SensorEventKind
    reason: str


@dataclass(frozen=True, slots=True)
class ActiveSensorEvent:
    """Of several sensors of `modality`, the samples of `name` are used from now on."""

    time: float
    name: str
    modality: str


def explain(error: BaseException) -> tuple[SensorEventKind, str]:
    """Return the kind and the reason of the event that a sensor's exception causes."""
    match error:
        case SensorUnavailableError():
            return "unavailable", text_of(error)
        case SensorLostError():
            return "lost", text_of(error)
        case SensorEndedError():
            return "ended", text_of(error)
        case SensorsError() if not isinstance(error, SampleError):
            return "lost", describe(error)
        case SensembleError():  # of a sample's form, or of the encoder that would take it
            return "failed", describe(error)
    return "lost", describe(error)


def describe(error: BaseException) -> str:
    """Return an exception as one line: its type and its text."""
    return f"{type(error).__name__}: {text_of(error)}"
