"""What a session tells while it runs: what becomes of its sensors, and which modalities are live."""

from dataclasses import dataclass
from typing import Literal

from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError

Kind = Literal["attached", "unwell", "well", "unavailable", "lost", "ended", "failed", "detached"]


@dataclass(frozen=True, slots=True)
class SensorEvent:
    """Something happened to a sensor.

    Attributes:
        time: when, in seconds on the clock of `time.monotonic`.
        name: the sensor's, as `Session.attach` returned it.
        modality: the sensor's.
        kind: `attached`: it was opened. `unwell`: what it gives cannot be true, and is kept out of the live
            set until it is `well`. `unavailable`, `lost`: it will be tried again. `ended`, and `failed`
            (by an exception that no sensor should raise): it will not. `detached`: that was asked for.
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


Event = SensorEvent | LiveSetEvent


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
    return "failed", f"{type(error).__name__}: {text}"
