"""The events of a session; every `time` is in seconds on the clock of `time.monotonic`."""

from dataclasses import dataclass
from typing import Literal

from sensemble_sensors.supervision.events import ActiveSensorEvent, SensorEvent, SensorEventKind

__all__ = ["ActiveSensorEvent", "SensorEvent", "SensorEventKind"]


@dataclass(frozen=True, slots=True)
class LiveSetEvent:
    """The live set changed to `live`, sorted."""

    time: float
    live: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HopEvent:
    """A modality's hop changed with the load: now `hop` seconds, `stretch` times the bundle's."""

    time: float
    modality: str
    hop: float
    stretch: int


@dataclass(frozen=True, slots=True)
class EncoderEvent:
    """An encoder failed for `reason`, and its modality left the live set; with no reason, it works again."""

    time: float
    modality: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """The record cannot be written for `reason` and is tried again; with no reason, it is written."""

    time: float
    reason: str
    lost: int  # predictions and events that it lacks


@dataclass(frozen=True, slots=True)
class UnfamiliarEvent:
    """The windows of a modality became unlike those of training; `over`: they are familiar, or it left.

    Unless `Policy.unfamiliar` is `pool`, the modality leaves the live set meanwhile.
    """

    time: float
    modality: str
    over: bool


@dataclass(frozen=True, slots=True)
class SuspectEvent:
    """A modality contradicts the others; `over`: it agrees again, or left. Else as `UnfamiliarEvent`."""

    time: float
    modality: str
    over: bool


@dataclass(frozen=True, slots=True)
class AdaptEvent:
    """A learned correction came into use or left it, or a file of corrections has a problem.

    Attributes:
        name: of the sensor; empty, as is `modality`, where the event is about a file.
        kind: `taught`: the correction is used. `untaught`: it is forgotten. `unsaved`: it cannot be written
            and is tried again. `set aside`: a file is damaged or of another bundle, and is not used.
        teachers: the modalities that taught it in this session, sorted.
        shipped: the share of held-back windows on which the bundle's own head agreed with the teachers.
        adapted: likewise of the correction.
        reason: one line of text.
    """

    time: float
    name: str
    modality: str
    kind: Literal["taught", "untaught", "unsaved", "set aside"]
    teachers: tuple[str, ...]
    shipped: float
    adapted: float
    reason: str


Event = (
    SensorEvent
    | ActiveSensorEvent
    | LiveSetEvent
    | HopEvent
    | EncoderEvent
    | RecordEvent
    | UnfamiliarEvent
    | SuspectEvent
    | AdaptEvent
)


_DISTRUST = {
    (UnfamiliarEvent, False): ("unfamiliar", "it is unlike what the encoder was trained on"),
    (UnfamiliarEvent, True): ("familiar again", ""),
    (SuspectEvent, False): ("suspect", "it contradicts the others, which agree"),
    (SuspectEvent, True): ("agrees again", ""),
}


def fields_of(event: Event) -> tuple[str, str, str, str]:
    """Return an event as a record stores it: sensor name, modality, kind, reason."""
    fields: tuple[str, str, str, str]
    match event:
        case SensorEvent() | AdaptEvent():
            fields = event.name, event.modality, event.kind, event.reason
        case ActiveSensorEvent():
            fields = event.name, event.modality, "active", ""
        case LiveSetEvent():
            fields = "", "", "live", "+".join(event.live)
        case HopEvent():
            fields = "", event.modality, "hop", f"{event.hop:g} s, {event.stretch} times the bundle's"
        case EncoderEvent():
            kind = "encoder failed" if event.reason else "encoder works again"
            fields = "", event.modality, kind, event.reason
        case RecordEvent():
            kind = "record failed" if event.reason else "recorded"
            fields = "", "", kind, event.reason or f"{event.lost} predictions and events are lost"
        case UnfamiliarEvent() | SuspectEvent():
            fields = "", event.modality, *_DISTRUST[type(event), event.over]
    return fields
