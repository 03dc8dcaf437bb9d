"""The one form of an event, and the events that a sensor's exceptions cause."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from sensemble_sensors.errors import (
    SampleError,
    SensembleError,
    SensorEndedError,
    SensorLostError,
    SensorsError,
    SensorUnavailableError,
    text_of,
)

SensorState = Literal[
    "attached", "unhealthy", "doubtful", "recovered", "asleep", "woken", "unavailable", "lost", "ended",
    "failed", "detached",
]  # fmt: skip
STATES = get_args(SensorState)
"""The kinds of events by which a sensor changed its state."""

FAULTS = (
    "unhealthy",
    "doubtful",
    "unavailable",
    "lost",
    "failed",
    "encoder failed",
    "overload",
    "record failed",
    "recording failed",
    "unfamiliar",
    "suspect",
    "unsaved",
    "set aside",
)
"""The kinds of events for the worse."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `docs/reference/output.md` lists the kinds, and what each carries.

    Attributes:
        time: in seconds on the clock of `time.monotonic`; outputs get it in seconds since the start.
        modality: empty where the event concerns the session as a whole.
        sensor: the name that `Session.attach` returned; empty where the event concerns no single sensor.
        text: one line, which may begin with the sensor's name; empty where the kind says all.
        label: the class that `began` or `ended`; empty for other kinds, as what follows.
        began, ended: when it did, on the same clock; `ended` is None while it lasts.
        confidence: the greatest probability that the class goes on, so far.
        sensors: the modalities that were live when it began, sorted.
        at: `time` by the wall clock, in seconds since 1970; None in virtual time.
    """

    time: float
    kind: str
    modality: str = ""
    sensor: str = ""
    text: str = ""
    label: str = ""
    began: float | None = None
    ended: float | None = None
    confidence: float | None = None
    sensors: tuple[str, ...] = ()
    at: float | None = field(default=None, compare=False)

    @property
    def live(self) -> tuple[str, ...]:
        """The live set that an event of the kind `live` carries, sorted."""
        return tuple(self.text.split("+")) if self.text else ()

    @property
    def is_fault(self) -> bool:
        """True if something changed for the worse."""
        return self.kind in FAULTS

    @property
    def reason(self) -> str:
        """The text without the sensor's name."""
        return self.text.removeprefix(f"{self.sensor}: ")


def explain(error: BaseException) -> tuple[SensorState, str]:
    """Return the kind and the text of the event that a sensor's exception causes."""
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
