"""What a session tells while it runs: what becomes of its sensors, which modalities are live, overload."""

from dataclasses import dataclass
from typing import Literal

from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError

from sensemble_runtime.errors import SensembleRuntimeError

Kind = Literal["attached", "unwell", "well", "unavailable", "lost", "ended", "failed", "detached"]


@dataclass(frozen=True, slots=True)
class SensorEvent:
    """Something happened to a sensor.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        name: the sensor's, as `Session.attach` returned it.
        modality: the sensor's.
        kind: `attached`: it was opened. `unwell`: what it gives cannot be true, and is kept out of the live
            set until it is `well`. `unavailable`, `lost` (also by an exception that no sensor should
            raise): it will be tried again. `ended`, and `failed` (what it gives is not of the spec's form, or
            the bundle has no use for it): it will not. `detached`: that was asked for.
        reason: one line of text; empty where there is nothing to say.
    """

    time: float
    name: str
    modality: str
    kind: Kind
    reason: str


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


Event = SensorEvent | LiveSetEvent | HopEvent


def explain(error: Exception) -> tuple[Kind, str]:
    """Return what an exception that came out of a sensor means: the kind of its event, and the reason."""
    text = " ".join(str(error).split())
    match error:
        case SensorUnavailableError():
            return "unavailable", text
        case SensorLostError():
            return "lost", text
        case SensorEndedError():
            return "ended", text
        case SensembleRuntimeError():
            return "failed", f"{type(error).__name__}: {text}"
    return "lost", f"{type(error).__name__}: {text}"
