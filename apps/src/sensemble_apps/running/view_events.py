"""The items that outputs show of a running bundle: predictions, changes of sensors and of the live set."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

from sensemble_runtime.events import (
    EncoderEvent,
    Event,
    HopEvent,
    LiveSetEvent,
    SuspectEvent,
    UnfamiliarEvent,
    fields_of,
)
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors.media.dataset import Example

_WORDS = {
    "active": "is the active sensor",
    "taught": "was taught",
    "unsaved": "what was learned is not saved",
    "set aside": "what was learned is not used",
    "untaught": "unlearned",
}

FAULTS = (
    "unhealthy",
    "doubtful",
    "unavailable",
    "lost",
    "failed",
    "encoder failed",
    "record failed",
    "recording failed",
    "unfamiliar",
    "suspect",
    "unsaved",
    "set aside",
)
"""The kinds of changes for the worse."""


@dataclass(frozen=True)
class Change:
    """A change of a sensor, of an encoder or of the record.

    Attributes:
        time: seconds since the start.
        modality: of the sensor or encoder; empty if it concerns the session as a whole.
        event: the change, in words.
        kind: its name, as of `sensemble_runtime.events.fields_of`.
        reason: one line, or empty.
        name: the sensor's; empty if it concerns the modality as a whole.
        over: whether it ends the state shown of the modality as a whole.
        active: whether this sensor, of several, is now the active one.
    """

    time: float
    modality: str
    event: str
    kind: str
    reason: str
    name: str = ""
    over: bool = False
    active: bool = False


@dataclass(frozen=True)
class LiveSetChange:
    """The live set became `live`, sorted, `time` seconds after the start."""

    time: float
    live: tuple[str, ...]


@dataclass(frozen=True)
class Predicted:
    """A prediction, `time` seconds after the start, and its example, if that is known."""

    time: float
    prediction: Prediction
    example: Example | None


@dataclass(frozen=True)
class Opened:
    """The session of the events that follow; their times count from `began` on `time.monotonic`."""

    began: float
    session: Session


ViewEvent = Change | LiveSetChange | Predicted | Opened
Stream = Generator[ViewEvent, None, None]


def change(time: float, modality: str, name: str, kind: str, reason: str) -> Change:
    """Return a change in words; `reason` may begin with the name."""
    words = _WORDS.get(kind, kind)
    reason = reason.removeprefix(f"{name}: ")
    event = f"{words}: {reason}" if reason else words
    return Change(time, modality, event, kind, reason, name, active=kind == "active")


ExampleAt = Callable[[float], Example | None]
"""Returns the example that a replay played at a time of `time.monotonic`."""


def view_event(item: Prediction | Event, began: float, example_at: ExampleAt | None = None) -> ViewEvent:
    """Return an item of a session's stream for outputs, in seconds since `began`."""
    if isinstance(item, Prediction):
        newest = item.time - min(item.ages.values())  # the end of its newest window
        return Predicted(item.time - began, item, example_at(newest) if example_at is not None else None)
    return shown_event(item, began)


def shown_event(event: Event, began: float) -> Change | LiveSetChange:
    """Return an event of a session for outputs, in seconds since `began`."""
    if isinstance(event, LiveSetEvent):
        return LiveSetChange(event.time - began, event.live)
    name, modality, kind, reason = fields_of(event)
    shown = change(event.time - began, modality, name, kind, reason)
    if isinstance(event, HopEvent):
        why = "overload" if event.stretch > 1 else "the overload is over"
        return replace(shown, event=f"encoded every {event.hop:g} s: {why}", over=event.stretch == 1)
    if isinstance(event, UnfamiliarEvent | SuspectEvent):
        return replace(shown, over=event.over)
    return replace(shown, over=isinstance(event, EncoderEvent) and not event.reason)
