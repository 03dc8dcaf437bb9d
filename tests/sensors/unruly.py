"""A camera that is well for some pictures and then does what a test asks for; workers import it by name."""

import ctypes
import os
import time

import numpy as np
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

RAISED = {"raise": ZeroDivisionError("in the\ndriver"), "sys.exit": SystemExit(3)}


class Unruly:
    modality = "video"
    live = True

    def __init__(self, act: str, well: int = 3) -> None:
        self.name = f"unruly {act}"
        self._act = act
        self._well = well
        self._given = 0
        self._shape: tuple[int, ...] = ()
        self._hoard: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []

    def open(self, spec: InputSpec) -> None:
        self._shape = spec.shape[2:]
        if self._act == "be absent":
            raise SensorUnavailableError(f"{self.name}: plug it in")
        if self._act == "hang opening":
            time.sleep(1000)

    def read(self, timeout: float) -> Sample | None:
        self._given += 1
        if self._given > self._well and self._act != "flood":
            self._misbehave(timeout)
            return None
        if self._act != "flood":
            time.sleep(0.01)
        picture = np.full(self._shape, self._given % 256, np.uint8)
        return Sample("video", picture, time.monotonic(), cut=self._given == 1)

    def close(self) -> None:
        if self._act == "hang closing":
            time.sleep(1000)

    def _misbehave(self, timeout: float) -> None:
        if self._act == "hang":
            time.sleep(1000)
        elif self._act == "hang with the lock":
            ctypes.PyDLL(None).sleep(1000)  # unlike CDLL, it keeps Python's lock
        elif self._act == "crash":
            ctypes.string_at(0)
        elif self._act == "exit":
            os._exit(3)
        elif self._act == "close everything":
            os.closerange(3, 100)
            time.sleep(1000)
        elif self._act == "leak":
            self._hoard.append(np.ones(1 << 25, np.uint8))
        elif self._act in RAISED:
            raise RAISED[self._act]
        elif self._act == "lose":
            raise SensorLostError("pulled out")
        elif self._act == "end":
            raise SensorEndedError("that was all")
        else:
            time.sleep(timeout)
