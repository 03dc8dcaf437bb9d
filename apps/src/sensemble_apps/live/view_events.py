"""What a running bundle tells its viewer, whether it runs in real time or in virtual time."""

from collections.abc import Generator
from dataclasses import dataclass, replace

from sensemble_runtime.events import EncoderEvent, FeedEvent, HopEvent, RecordEvent, SensorEvent, told
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.media.dataset import Example

_WORDS = {"attached": "plugged in", "detached": "unplugged", "feeds": "feeds the encoder"}


@dataclass(frozen=True)
class Change:
    """What happened to a sensor.

    Attributes:
        time: seconds since the start.
        modality: the sensor's; empty where it is of the session as a whole.
        event: what happened, in words.
        kind: what happened, as `sensemble_runtime.events.told` names it.
        reason: why, in one line; empty where there is nothing to say.
        name: the sensor's; empty where it is of the modality as a whole.
        over: whether that ends what was told before of the modality as a whole.
        feeds: whether it is that this one of several feeds the encoder from now on.
    """

    time: float
    modality: str
    event: str
    kind: str
    reason: str
    name: str = ""
    over: bool = False
    feeds: bool = False


@dataclass(frozen=True)
class LiveSet:
    """The live set became `live`, sorted, `time` seconds after the start; also when no prediction says so."""

    time: float
    live: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """A prediction, when it came in seconds since the start, and the example it is of, if that is known."""

    time: float
    prediction: Prediction
    example: Example | None


News = Change | LiveSet | Said
Stream = Generator[News, None, None]


def worded(time: float, modality: str, name: str, kind: str, reason: str) -> Change:
    """Return an event of a sensor, by its kind, in words; its reason need not begin with the name."""
    words = _WORDS.get(kind, kind)
    reason = reason.removeprefix(f"{name}: ")
    event = f"{words}: {reason}" if reason else words
    return Change(time, modality, event, kind, reason, name, feeds=kind == "feeds")


def change(event: SensorEvent | FeedEvent | HopEvent | EncoderEvent | RecordEvent, began: float) -> Change:
    """Return what a session tells as a viewer shows it, in seconds since `began`."""
    name, modality, kind, reason = told(event)
    shown = worded(event.time - began, modality, name, kind, reason)
    if isinstance(event, HopEvent):
        why = "overload" if event.stretch > 1 else "the overload is over"
        return replace(shown, event=f"encoded every {event.hop:g} s: {why}", over=event.stretch == 1)
    return replace(shown, over=isinstance(event, EncoderEvent) and not event.reason)
