"""A sensor whose samples a test makes up."""

import time
from collections.abc import Callable

from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec


class MadeUp:
    """Gives what `make` returns of the time and of how often it was read, at most every `pause` seconds."""

    reads = 0

    def __init__(
        self,
        modality: str,
        make: Callable[[float, int], Sample | None],
        *,
        name: str = "",
        pause: float = 0.0,
    ) -> None:
        self.modality, self.name = modality, name or modality
        self._make, self._pause = make, pause

    def open(self, spec: InputSpec) -> None:
        self.spec = spec

    def read(self, timeout: float) -> Sample | None:
        time.sleep(min(self._pause, timeout))
        self.reads += 1
        return self._make(time.monotonic(), self.reads)

    def close(self) -> None: ...
