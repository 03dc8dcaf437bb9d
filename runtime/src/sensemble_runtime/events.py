"""What a session tells while it runs: what becomes of its sensors, encoders and record, and what is live."""

from dataclasses import dataclass
from typing import Literal

from sensemble_sensors.errors import SampleError, SensorEndedError, SensorLostError, SensorUnavailableError

from sensemble_runtime.errors import SensembleRuntimeError

Kind = Literal["attached", "unwell", "doubtful", "well", "unavailable", "lost", "ended", "failed", "detached"]


@dataclass(frozen=True, slots=True)
class SensorEvent:
    """Something happened to a sensor.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        name: the sensor's, as `Session.attach` returned it.
        modality: the sensor's.
        kind: `attached`: it was opened. `unwell`: what it gives cannot be true, and is kept out of the live
            set until it is `well`. `doubtful`: it may not be true, and is used all the same. `unavailable`,
            `lost` (also by an exception that no sensor should raise): it will be tried again. `ended`, and
            `failed` (what it gives is not of the spec's form, or the bundle has no use for it): it will not.
            `detached`: that was asked for.
        reason: one line of text; empty where there is nothing to say.
    """

    time: float
    name: str
    modality: str
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """Of several sensors of `modality`, the one called `name` feeds its encoder from `time` on.

    The time is in seconds on the clock of `time.monotonic`. Where there never was but one, none comes.
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
    """The encoders need another share of the processor than before, so a modality's hop changes.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        modality: which.
        hop: seconds between two encodings from now on.
        stretch: how many times that of the bundle it is; 1 when the overload is over.
    """

    time: float
    modality: str
    hop: float
    stretch: int


@dataclass(frozen=True, slots=True)
class EncoderEvent:
    """An encoder failed, so that its modality is out of the live set; or it works again.

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
    """The record cannot be written, and is tried again, or is written and lacks something.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        reason: why not, in one line of text; empty when it is written.
        lost: how many predictions and events it lacks because of that, so far.
    """

    time: float
    reason: str
    lost: int


Event = SensorEvent | FeedEvent | LiveSetEvent | HopEvent | EncoderEvent | RecordEvent


def told(event: Event) -> tuple[str, str, str, str]:
    """Return an event as a record has it: the sensor's name, the modality, the kind, the reason.

    The kinds are those of `SensorEvent`, `feeds`, `live` (the reason is the live set), `hop`, `encoder
    failed`, `encoder works again`, `record failed` and `recorded`.
    """
    match event:
        case SensorEvent():
            return event.name, event.modality, event.kind, event.reason
        case FeedEvent():
            return event.name, event.modality, "feeds", ""
        case LiveSetEvent():
            return "", "", "live", "+".join(event.live)
        case HopEvent():
            return "", event.modality, "hop", f"{event.hop:g} s, {event.stretch} times the bundle's"
        case EncoderEvent():
            kind = "encoder failed" if event.reason else "encoder works again"
            return "", event.modality, kind, event.reason
        case RecordEvent():
            kind = "record failed" if event.reason else "recorded"
            return "", "", kind, event.reason or f"{event.lost} predictions and events are lost"


def explain(error: BaseException) -> tuple[Kind, str]:
    """Return what an exception that came out of a sensor means: the kind of its event, and the reason."""
    text = _line(error)
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
    """Return one line that says what an exception is."""
    return f"{type(error).__name__}: {_line(error)}"


def _line(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - what is told of an error must not fail for how it is made
        return "it has no text"
