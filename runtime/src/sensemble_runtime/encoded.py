"""Encoded windows, as the session's core and the adapter share them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.kinds.windows import WindowRing


@dataclass(frozen=True, slots=True)
class Encoded:
    """A window of the named sensor, encoded.

    Attributes:
        embedding: float32 [d].
        time: the end of the window, in seconds.
        latency: seconds that encoding took.
        ring: of the window.
        skipped: the embedding is that of an earlier, similar window.
        level: the loudness or brightness of the window, as its kind measures it; None without one.
    """

    modality: str
    sensor: str
    embedding: NDArray[np.float32]
    time: float
    latency: float
    ring: WindowRing
    skipped: bool
    level: float | None
