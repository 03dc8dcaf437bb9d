"""Summary of a recording so far: amounts, the sound's level, and the sensors that gave nothing."""

import math
from time import monotonic

import numpy as np
from sensemble_runtime.events import SensorEvent
from sensemble_sensors.sensor import Sample, Sensor

from sensemble_apps.console.wording import SENSORS, sensor_title

_MODALITIES = ("audio", "text", "video")


class CaptureSummary:
    """Counts the samples of a recording's sensors, one of each modality.

    Attributes:
        began: when the first sample came, on the clock of `time.monotonic`; infinite before that.
    """

    def __init__(self) -> None:
        self.began = math.inf
        self._names: dict[str, str] = {}  # of the sensors, by modality
        self._reasons: dict[str, str] = {}  # of the last event of each, by modality
        self._counts = dict.fromkeys(_MODALITIES, 0)  # of samples
        self._seconds = dict.fromkeys(_MODALITIES, 0.0)
        self._last: dict[str, float] = {}  # the time of the sample that the next one follows
        self._peak = 0.0  # of the last sound

    def expect(self, sensor: Sensor) -> None:
        """Note that `sensor` should give samples."""
        self._names[sensor.modality] = sensor.name

    def add(self, sample: Sample, rate: float) -> None:
        """Count a sample; `rate` is that of the sound."""
        self.began = min(self.began, monotonic())
        m = sample.modality
        self._counts[m] += 1
        if m == "audio":
            self._seconds[m] += len(sample.data) / rate
            self._peak = float(np.abs(np.asarray(sample.data)).max(initial=0.0))
        else:
            self._seconds[m] += 0.0 if sample.cut else sample.time - self._last.get(m, sample.time)
            self._last[m] = sample.time

    def note(self, event: SensorEvent) -> None:
        """Note an event of a sensor; pictures after it do not continue those before."""
        self._reasons[event.modality] = event.reason
        self._last.pop(event.modality, None)

    @property
    def amounts(self) -> str:
        """The amount of each modality: `3.9 s of audio, 1 caption, 4.0 s of video`."""
        captions = self._counts["text"]
        words = {
            "audio": f"{self._seconds['audio']:.1f} s of audio",
            "text": f"{captions} caption{'s' if captions > 1 else ''}",
            "video": f"{self._seconds['video']:.1f} s of video",
        }
        return ", ".join(text for modality, text in words.items() if self._counts[modality])

    @property
    def silent(self) -> list[str]:
        """A line for each sensor that gave nothing: `camera 0 gave nothing: it cannot be opened`."""
        return [
            f"{sensor_title(modality, name)} gave nothing: {self._why(modality)}"
            for modality, name in self._names.items()
            if not self._counts[modality]
        ]

    def status(self, segments: int) -> str:
        """Return the line that a terminal shows while recording."""
        if self.began == math.inf:
            return "waiting for a first sample; Ctrl-C ends it"
        loud = f"{20 * math.log10(self._peak):.0f} dB" if self._peak else "silent"
        now = {
            "audio": loud,
            "text": str(self._counts["text"]),
            "video": f"{self._counts['video']} pictures",
        }
        each = (f"{SENSORS[m]} {now[m] if self._counts[m] else 'nothing yet'}" for m in self._names)
        return "  ".join((f"{monotonic() - self.began:8.2f} s", f"{segments} segments", *each))

    def _why(self, modality: str) -> str:
        if modality not in self._reasons:
            return "it was not open yet; give it longer"
        reason = self._reasons[modality].removeprefix(f"{self._names[modality]}: ")
        return reason or "it was opened, and no sample came; give it longer"
