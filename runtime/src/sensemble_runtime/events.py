"""The events of a session: changes of its sensors, encoders, record and live set."""

from dataclasses import dataclass
from typing import Literal

from sensemble_sensors.errors import (
    SampleError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
    text_of,
)

from sensemble_runtime.errors import SensembleRuntimeError

Kind = Literal[
    "attached", "unhealthy", "doubtful", "recovered", "unavailable", "lost", "ended", "failed", "detached"
]


_UNFAMILIAR = "it is unlike what the encoder was trained on"


@dataclass(frozen=True, slots=True)
class SensorEvent:
    """A sensor changed its state.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        name: the sensor's, as `Session.attach` returned it.
        modality: the sensor's.
        kind: `attached`: it was opened; the reason names the conditions that it is under. `unhealthy`: its
            samples cannot be true, and are not used until it has `recovered`. `doubtful`: they may not be
            true, and are used all the same. `unavailable` (it cannot be opened) and `lost` (it stopped
            working): it will be tried again. `ended` (its source is over) and `failed` (no encoder can take
            its samples): it will not be. `detached`: on request.
        reason: one line of text; empty where the kind says all.
    """

    time: float
    name: str
    modality: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class ActiveSensorEvent:
    """From `time` on, the samples of the sensor `name` are used, of several sensors of `modality`.

    The time is in seconds on the clock of `time.monotonic`. Not sent for a modality that has had only one
    sensor.
    """

    time: float
    name: str
    modality: str


@dataclass(frozen=True, slots=True)
class LiveSetEvent:
    """The live set became `live`, sorted, at `time`, in seconds on the clock of `time.monotonic`."""

    time: float
    live: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HopEvent:
    """A modality's hop changed, because the encoders need more or less of the processor than before.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        modality: which.
        hop: seconds between two encodings from now on.
        stretch: the hop as a multiple of the bundle's; 1 when the overload is over.
    """

    time: float
    modality: str
    hop: float
    stretch: int


@dataclass(frozen=True, slots=True)
class EncoderEvent:
    """An encoder failed, so that its modality left the live set; or it works again.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        modality: the encoder's.
        reason: why it failed, in one line of text; empty when it works again.
    """

    time: float
    modality: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """The record cannot be written, and will be tried again; or it is written, and may lack something.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        reason: why it cannot be written, in one line of text; empty when it is written.
        lost: how many predictions and events it lacks so far.
    """

    time: float
    reason: str
    lost: int


@dataclass(frozen=True, slots=True)
class UnfamiliarEvent:
    """The windows of a modality are unlike those that its encoder was trained on; or they no longer are.

    Unless `Policy.unfamiliar` is `pool`, the modality leaves the live set meanwhile.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        modality: which.
        over: whether a familiar window came, or its sensor left.
    """

    time: float
    modality: str
    over: bool


@dataclass(frozen=True, slots=True)
class AdaptEvent:
    """A correction that a sensor learned from others came into use or left it, or was not kept.

    Attributes:
        time: when, in seconds on the clock of the samples.
        name: the sensor's; empty where `kind` is about a file.
        modality: the sensor's; likewise.
        kind: `taught`: its correction is used from now on. `untaught`: no longer, and what it learned is
            forgotten. `unsaved`: what was learned cannot be written, and will be tried again. `set aside`: a
            file of what was learned before is damaged or of another bundle, so that its sensor learns anew.
        teachers: the modalities that taught it since the session began, sorted.
        shipped: the share of the newest held-back windows about which the bundle's own head agreed with them.
        adapted: about which the correction did.
        reason: why, in one line of text.
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
    | AdaptEvent
)


def fields_of(event: Event) -> tuple[str, str, str, str]:
    """Return an event as a record stores it: the sensor's name, the modality, the kind, the reason.

    The kinds are those of `SensorEvent` and `AdaptEvent`, `active`, `live` (the reason is the live set),
    `hop`, `encoder failed`, `encoder works again`, `record failed`, `recorded`, `unfamiliar` and `familiar
    again`.
    """
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
        case UnfamiliarEvent():
            kind, reason = ("familiar again", "") if event.over else ("unfamiliar", _UNFAMILIAR)
            fields = "", event.modality, kind, reason
    return fields


def explain(error: BaseException) -> tuple[Kind, str]:
    """Return the kind and the reason of the event that an exception out of a sensor causes."""
    text = text_of(error)
    match error:
        case SensorUnavailableError():
            return "unavailable", text
        case SensorLostError():
            return "lost", text
        case SensorEndedError():
            return "ended", text
        case SampleError() | SensembleRuntimeError():
            return "failed", describe(error)
    return "lost", describe(error)


def describe(error: BaseException) -> str:
    """Return an exception as one line: its type and its text."""
    return f"{type(error).__name__}: {text_of(error)}"
