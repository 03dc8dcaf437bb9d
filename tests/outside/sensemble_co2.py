"""A kind in a separate package: carbon dioxide, one number a second.

Its entry points are all that Sensemble knows of it: `co2 = sensemble_co2` in the group `sensemble.kinds`, and
`co2 = sensemble_co2:Meter` in `sensemble.devices`.
"""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

import numpy as np
from sensemble_sensors import InputSpec, Sample, SensorEndedError, SensorUnavailableError
from sensemble_sensors.kinds.series import Series

if TYPE_CHECKING:
    from sensemble_apps.console.kinds import Display


class Carbon(Series):
    """Carbon dioxide: samples float32 [1, 1] in ppm, windows float32 [1, T, 1]."""

    name = "co2"
    noun = "reading of carbon dioxide"
    least_change = 0.1

    def _shape_problems(self, spec: InputSpec) -> Iterator[str]:
        yield from super()._shape_problems(spec)
        if spec.rate > 1:
            yield f"expected one reading a second at most, got {spec.rate:g}"

    def level(self, data: object) -> float | None:
        """Return the mean of a window in ppm."""
        return float(np.mean(np.asarray(data, np.float32)))


class Meter:
    """A meter that writes one number a line; here into a file, of which it gives one a second."""

    def __init__(self, source: str, name: str | None = None, modality: str = "co2") -> None:
        self.name, self.modality, self._source = name or f"meter {source}", modality, source
        self._lines: list[str] = []

    def open(self, spec: InputSpec) -> None:
        """Open the file."""
        try:
            self._lines = Path(self._source).read_text(encoding="utf-8").split()
        except OSError as error:
            raise SensorUnavailableError(f"{self.name}: cannot be opened ({error.strerror})") from error
        self._due, self._step = monotonic(), 1 / spec.rate

    def read(self, timeout: float) -> Sample | None:
        """Return the next reading when its time comes."""
        if not self._lines:
            raise SensorEndedError(f"{self.name}: has ended")
        wait = self._due - monotonic()
        sleep(max(0.0, min(wait, timeout)))
        if wait > timeout:
            return None
        self._due += self._step
        data = np.array([[float(self._lines.pop(0))]], np.float32)
        return Sample(self.modality, data, monotonic())

    def close(self) -> None:
        """Forget the rest."""
        self._lines = []


sensors = Carbon


def apps() -> "Display":
    """Return its words and its level for apps."""
    from sensemble_apps.console.kinds import Display

    return Display(
        "CO2 meter",
        "the {} dies",
        "",
        1,
        lambda meter: f"{meter.count} readings",
        lambda samples, _: {"caption": f"{float(np.asarray(samples[-1].data)[-1, 0]):.0f} ppm"},
        lambda level: f"{level:.0f} ppm",
    )
