"""Sum up the samples of a recording's sensors."""

import math
from collections.abc import Mapping, Sequence
from time import monotonic

from sensemble_runtime.events import SensorEvent
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.kinds import Meter, display_of
from sensemble_apps.console.wording import sensor_title


class CaptureSummary:
    """Measures the samples of a recording's sensors, one of each modality.

    Attributes:
        began: the time of the first sample, on the clock of `time.monotonic`; infinite before that.
    """

    def __init__(self, sensors: Sequence[Sensor], specs: Mapping[str, InputSpec]) -> None:
        self.began = math.inf
        self._names = {sensor.modality: sensor.name for sensor in sensors}
        self._specs = {modality: specs[modality] for modality in self._names}
        self._meters = {modality: Meter() for modality in self._names}
        self._reasons: dict[str, str] = {}  # of the last event of each, by modality

    def add(self, _: str, sample: Sample) -> None:
        """Measure a sample."""
        self.began = min(self.began, monotonic())
        self._meters[sample.modality].add(sample, self._specs[sample.modality].rate)

    def note(self, event: SensorEvent) -> None:
        """Note an event of a sensor."""
        self._reasons[event.modality] = event.reason

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
        return "  ".join((f"{monotonic() - self.began:8.2f} s", f"{segments} segments", *each))

    def _why(self, modality: str) -> str:
        if modality not in self._reasons:
            return "it was not open yet; give it longer"
        reason = self._reasons[modality].removeprefix(f"{self._names[modality]}: ")
        return reason or "it was opened, and no sample came; give it longer"


def _amount(spec: InputSpec, meter: Meter) -> str:
    if kind_of(spec).tokenized:
        return f"{meter.count} caption{'s' if meter.count > 1 else ''}"
    return f"{meter.seconds:.1f} s of {spec.modality}"
