"""Summary of a recording so far: amounts, levels, and the sensors that gave nothing."""

import math
from time import monotonic

from sensemble_runtime.events import SensorEvent
from sensemble_sensors.kinds import registry as kinds
from sensemble_sensors.sensor import Sample, Sensor

from sensemble_apps.console.kinds import Meter, kind_of
from sensemble_apps.console.wording import sensor_title


class CaptureSummary:
    """Measures the samples of a recording's sensors, one of each modality.

    Attributes:
        began: when the first sample came, on the clock of `time.monotonic`; infinite before that.
    """

    def __init__(self) -> None:
        self.began = math.inf
        self._names: dict[str, str] = {}  # of the sensors, by modality
        self._meters: dict[str, Meter] = {}
        self._reasons: dict[str, str] = {}  # of the last event of each, by modality

    def expect(self, sensor: Sensor) -> None:
        """Note that `sensor` should give samples."""
        self._names[sensor.modality] = sensor.name
        self._meters[sensor.modality] = kind_of(sensor.modality).meter(sensor.modality)

    def add(self, sample: Sample, rate: float) -> None:
        """Measure a sample of an expected sensor; `rate` is its spec's."""
        self.began = min(self.began, monotonic())
        self._meters[sample.modality].add(sample, rate)

    def note(self, event: SensorEvent) -> None:
        """Note an event of a sensor; samples after it do not continue those before."""
        self._reasons[event.modality] = event.reason
        self._meters[event.modality].interrupt()

    @property
    def awaited(self) -> bool:
        """True if a sensor that gives samples all the time, unlike captions, gave none yet."""
        return any(not (meter.count or kinds.kind_of(m).tokenized) for m, meter in self._meters.items())

    @property
    def amounts(self) -> str:
        """The amount of each modality: `3.9 s of audio, 1 caption, 4.0 s of video`."""
        return ", ".join(meter.amount for _, meter in sorted(self._meters.items()) if meter.count)

    @property
    def silent(self) -> list[str]:
        """A line for each sensor that gave nothing: `camera 0 gave nothing: it cannot be opened`."""
        return [
            f"{sensor_title(modality, name)} gave nothing: {self._why(modality)}"
            for modality, name in self._names.items()
            if not self._meters[modality].count
        ]

    def status(self, segments: int) -> str:
        """Return the line that a terminal shows while recording."""
        if self.began == math.inf:
            return "waiting for a first sample; Ctrl-C ends it"
        each = (
            f"{sensor_title(modality)} {meter.reading if meter.count else 'nothing yet'}"
            for modality, meter in self._meters.items()
        )
        return "  ".join((f"{monotonic() - self.began:8.2f} s", f"{segments} segments", *each))

    def _why(self, modality: str) -> str:
        if modality not in self._reasons:
            return "it was not open yet; give it longer"
        reason = self._reasons[modality].removeprefix(f"{self._names[modality]}: ")
        return reason or "it was opened, and no sample came; give it longer"
