"""The real sensors, each of which does what a file tells it to; a worker imports them by name."""

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

ORDERS = "SENSEMBLE_ORDERS"  # names the folder of the orders; the workers inherit it

SHIFTS = {"clock ahead by an hour": 3600.0, "clock behind by an hour": -3600.0}
BENDS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "NaN": lambda wave: np.full_like(wave, np.nan),
    "clipped": lambda wave: np.clip(100 * wave, -1, 1),
    "half the rate": lambda wave: wave[::2].copy(),
}


class Faulty:
    """A sensor that obeys the word in the file of its modality in the folder of the orders."""

    live = True

    def __init__(self, sensor: Sensor) -> None:
        self.modality = sensor.modality
        self.name = sensor.modality
        self._sensor = sensor
        self._orders = Path(os.environ[ORDERS]) / self.modality
        self._last: Sample | None = None
        self._drift = 0.0
        self._hoard: list[object] = []

    def open(self, spec: InputSpec) -> None:
        self._sensor.open(spec)

    def read(self, timeout: float) -> Sample | None:
        order = self._orders.read_text()
        match order:
            case "hang":
                time.sleep(1000)
            case "hang with Python's lock":
                ctypes.PyDLL(None).sleep(1000)
            case "crash":
                ctypes.string_at(0)
            case "leak":
                self._hoard.append(np.ones(1 << 26, np.uint8))
            case "raise":
                raise ZeroDivisionError("in the driver")
            case "flood" if self._last is not None:
                return replace(self._last, time=time.monotonic(), cut=False)
        sample = self._sensor.read(timeout)
        if sample is None:
            return None
        self._last = sample
        # A clock that goes wrong little by little, by 10 ms a sample.
        self._drift = min(self._drift + 0.01, 0.8) if order == "drift to 0.8 s" else 0.0
        return _bent(replace(sample, time=sample.time - self._drift), order)

    def close(self) -> None:
        self._sensor.close()


class FaultyCamera(Faulty):
    def __init__(self, source: str, name: str | None) -> None:
        super().__init__(Camera(source, name))


class FaultyCaptions(Faulty):
    def __init__(self, source: str) -> None:
        super().__init__(Captions(source))


class FaultyMicrophone(Faulty):
    def __init__(self, source: str, name: str | None) -> None:
        super().__init__(Microphone(source, name))


def _bent(sample: Sample, order: str) -> Sample:
    time = sample.time + SHIFTS.get(order, 0.0)
    if sample.modality == "audio" and order in BENDS:
        return replace(sample, time=time, data=BENDS[order](np.asarray(sample.data, np.float32)))
    return replace(sample, time=time)
