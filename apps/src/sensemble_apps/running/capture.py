"""Read sensors without a bundle, to record or to show their samples, and sum these up."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self

from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.sensor_host import CLOSE, SensorHost
from sensemble_sensors.clock import Clock, Patience
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import Event
from sensemble_sensors.supervision.suite import Suite
from sensemble_sensors.thresholds import Thresholds

from sensemble_apps.console.kinds import Meter, display_of
from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import sensor_title


class Capture(SensorHost):
    """Reads the attached sensors; a context manager, safe from any thread.

    By `health`, the samples of an unhealthy sensor are left out (None: never); a drifting one stays, marked.
    """

    def __init__(self, specs: Mapping[str, InputSpec], health: Thresholds | None) -> None:
        self._opened = False  # whether a sensor could be opened
        health = health and replace(health, doubted=health.doubted | {"drift"})
        super().__init__(Suite(specs, health))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop every sensor, and wait until the subscribers have its samples."""
        with self._lock:
            self._stop()
        patience = Patience(self.clock, CLOSE)
        if left := self._join(patience):
            names = ", ".join(reader.name for reader in left)
            remark(f"sensemble: {names}: did not stop in time; its thread is left behind")
        for queue in self._subscribers:
            queue.close()
        for queue in self._subscribers:
            queue.join(patience.left)

    def wait(self, seconds: float) -> None:
        """Wait for an event, or so many seconds."""
        with self._lock:
            self.clock.wait(self._arrived, seconds)

    @property
    def over(self) -> bool:
        """True when all sensors have ended."""
        with self._lock:
            return self._suite.over

    @property
    def unavailable(self) -> str:
        """The reason why no sensor could be opened so far; empty where one could, or was not tried."""
        with self._lock:
            sensors = [one for one in self._suite.sensors if one.attached]
            none = not self._opened and all(one.state == "unavailable" for one in sensors)
            return "; ".join(f"{one.name}: {one.why}" for one in sensors) if none else ""

    def _prepare(self, modality: str) -> None:
        """Load nothing: no encoder sees these samples."""

    def _fail(self, error: BaseException) -> None:
        remark(f"sensemble: {type(error).__name__}: {error}")

    def _deliver(self, item: Prediction | Event) -> None:
        self._opened |= getattr(item, "kind", "") == "attached"
        super()._deliver(item)


class CaptureSummary:
    """Measures the samples of a recording's sensors, one of each modality.

    Attributes:
        began: the time of the first sample, on the capture's clock; infinite before that.
    """

    def __init__(self, sensors: Sequence[Sensor], specs: Mapping[str, InputSpec], clock: Clock) -> None:
        self.began, self._clock = math.inf, clock
        self._names = {sensor.modality: sensor.name for sensor in sensors}
        self._specs = {modality: specs[modality] for modality in self._names}
        self._meters = {modality: Meter() for modality in self._names}
        self._reasons: dict[str, str] = {}  # of the last event of each, by modality

    def add(self, _: str, sample: Sample) -> None:
        """Measure a sample."""
        self.began = min(self.began, self._clock.now())
        self._meters[sample.modality].add(sample, self._specs[sample.modality].rate)

    def note(self, event: Event) -> None:
        """Note an event of a sensor."""
        self._reasons[event.modality] = event.text

    @property
    def awaited(self) -> bool:
        """True while a sensor other than captions gave no sample."""
        return any(
            not (meter.count or kind_of(self._specs[m]).tokenized) for m, meter in self._meters.items()
        )

    @property
    def amounts(self) -> str:
        """The amount of each modality: `3.9 s of audio, 1 caption, 4.0 s of video`."""
        return ", ".join(
            _amount(self._specs[m], meter) for m, meter in sorted(self._meters.items()) if meter.count
        )

    @property
    def silent(self) -> list[str]:
        """A line for each sensor that gave nothing: `camera 0 gave nothing: it cannot be opened`."""
        return [
            f"{sensor_title(modality, name)} gave nothing: {self._why(modality)}"
            for modality, name in self._names.items()
            if not self._meters[modality].count
        ]

    def status(self, segments: int) -> str:
        """Return the line of status."""
        if self.began == math.inf:
            return "waiting for a first sample; Ctrl-C ends it"
        each = (
            f"{sensor_title(m)} {display_of(self._specs[m]).reading(meter) if meter.count else 'nothing yet'}"
            for m, meter in self._meters.items()
        )
        return "  ".join((f"{self._clock.now() - self.began:8.2f} s", f"{segments} segments", *each))

    def _why(self, modality: str) -> str:
        if modality not in self._reasons:
            return "it was not open yet; give it longer"
        reason = self._reasons[modality].removeprefix(f"{self._names[modality]}: ")
        return reason or "it was opened, and no sample came; give it longer"


def _amount(spec: InputSpec, meter: Meter) -> str:
    if kind_of(spec).tokenized:
        return f"{meter.count} caption{'s' if meter.count > 1 else ''}"
    return f"{meter.seconds:.1f} s of {spec.modality}"
