"""A session at one moment, as outputs show it."""

from dataclasses import dataclass, field

from sensemble_sensors.supervision.events import Event
from sensemble_sensors.supervision.sensor_view import SensorView

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction


@dataclass(frozen=True, slots=True)
class View:
    """A session at one moment; times are on the session's clock.

    Attributes:
        time: of the view.
        sensors: the attached ones in the order of attaching, after those that left last.
        live: the live set, sorted.
        prediction: the newest answer; None while nothing is live.
        faults: the event of each fault that lasts, of sensors, modalities and the record, the oldest first.
        latencies: by modality, seconds that the last encoding took.
        bundle: the bundle of `prediction`; without one, the one that answers next.
    """

    time: float
    sensors: tuple[SensorView, ...]
    live: tuple[str, ...]
    prediction: Prediction | None
    faults: tuple[Event, ...]
    latencies: dict[str, float]
    bundle: Bundle = field(repr=False)

    def fault(self, modality: str) -> Event | None:
        """Return the newest fault of a modality as a whole, such as `unfamiliar`; None without one."""
        own = (event for event in self.faults if event.modality == modality and not event.sensor)
        return max(own, key=lambda event: event.time, default=None)
