"""A camera that is well for some pictures and then does what a test asks for; workers import it by name."""

import ctypes
import os
import signal
import stat
import subprocess
import time

import numpy as np
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.isolation.worker import SIZES
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

RAISED = {
    "raise": ZeroDivisionError("in the\ndriver"),
    "sys.exit": SystemExit(3),
    "lose": SensorLostError("pulled out"),
    "end": SensorEndedError("that was all"),
}

GIVEN = {
    "give a list": Sample("video", [1, 2], 0.0),  # type: ignore[arg-type]
    "give doubles": Sample("video", np.zeros(4), 0.0),  # type: ignore[arg-type]
    "give a caption": Sample("text", "one", 0.0),
}


class Unruly:
    modality = "video"

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
        if self._act.startswith("with a child"):
            subprocess.Popen(["sleep", "1000"])
        if self._act == "hang opening":
            time.sleep(1000)

    def read(self, timeout: float) -> Sample | None:
        self._given += 1
        if self._given > self._well and self._act != "flood":
            return self._misbehave(timeout)
        if self._act != "flood":
            time.sleep(0.01)
        picture = np.full(self._shape, self._given % 256, np.uint8)
        return Sample("video", picture, time.monotonic(), cut=self._given == 1)

    def close(self) -> None:
        if self._act.endswith("hang closing"):
            time.sleep(1000)

    def _misbehave(self, timeout: float) -> Sample | None:
        if self._act in RAISED:
            raise RAISED[self._act]
        if self._act in GIVEN:
            return GIVEN[self._act]
        acts = {
            "hang": lambda: time.sleep(1000),
            # Unlike CDLL, PyDLL keeps Python's lock.
            "hang with the lock": lambda: ctypes.PyDLL(None).sleep(1000),
            "with a child, stop": lambda: (
                self._given == self._well + 1 and os.kill(os.getpid(), signal.SIGSTOP)
            ),
            "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
            "crash": crash,
            "fork and crash": fork_and_crash,
            "exit": lambda: os._exit(3),
            "close everything": close_everything,
            "leak": lambda: self._hoard.append(np.ones(1 << 25, np.uint8)),
            "write rubbish": lambda: write_to_pipes(b"x" * 65536),
            "write lines of rubbish": lambda: write_to_pipes(b"[{\n" * 100),
            "die within a line": die_within_a_line,
        }
        acts.get(self._act, lambda: time.sleep(timeout))()
        return None


def crash() -> None:
    ctypes.string_at(0)


def fork_and_crash() -> None:
    if os.fork() == 0:
        time.sleep(1000)  # and holds whatever its parent had open
    crash()


def close_everything() -> None:
    os.closerange(3, 100)
    time.sleep(1000)


def die_within_a_line() -> None:
    write_to_pipes(SIZES.pack(100, 0) + b'{"kind": "lo')
    os._exit(3)


def write_to_pipes(data: bytes) -> None:
    """Write into every pipe that this process has beside its standard streams."""
    for file in range(3, 100):
        try:
            if stat.S_ISFIFO(os.fstat(file).st_mode):
                os.set_blocking(file, True)
                os.write(file, data)
        except OSError:
            continue  # there is none of this number, or it is for reading
