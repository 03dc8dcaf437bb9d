"""Encoded windows, shared by the session's core and the adapter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.kinds.windows import WindowRing


@dataclass(frozen=True, slots=True)
class Encoded:
    """A window of the named sensor, encoded."""

    modality: str
    sensor: str
    embedding: NDArray[np.float32]  # [d]
    time: float  # the end of the window, in seconds
    latency: float  # seconds that encoding took
    ring: WindowRing
    skipped: bool  # the embedding is that of an earlier, similar window
    level: float | None  # the loudness or brightness of the window, as its kind measures it
