"""Twenty starts of a camera and a microphone on a busy machine, none of which reports a fault.

`apps/benchmarks/starts.py` does it with a sound server, a network camera and a process for each sensor.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import SensorEvent
from sensemble_runtime.session.session import Session
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from tests.runtime.puppets import Log

STARTS = 20
LOOPS = 3  # busy ones for each core
SECONDS = 9.0
CHUNK = 0.05


class Held:
    """A microphone whose server holds back sound for the first seconds, as PulseAudio does on a busy machine.

    Measured there: 0.2 to 0.6 s, for up to 3.5 s; then it comes as it is heard.
    """

    modality, live = "audio", True

    def __init__(self, name: str, hold: float) -> None:
        self.name = name
        self._hold = hold
        self._began = 0.0
        self._given = 0

    def open(self, _: InputSpec) -> None:
        self._began = time.monotonic()

    def read(self, timeout: float) -> Sample | None:
        heard = self._began + (self._given + 1) * CHUNK
        until = time.monotonic() + timeout
        while time.monotonic() < heard + (self._hold if time.monotonic() < self._began + 3.5 else 0.0):
            if time.monotonic() >= until:
                return None
            time.sleep(0.01)
        self._given += 1
        noise = np.random.default_rng(self._given).uniform(-0.1, 0.1, round(CHUNK * 16000)).astype(np.float32)
        return Sample("audio", noise, heard, cut=self._given == 1)

    def close(self) -> None: ...


class Seen:
    """A network camera: 20 pictures a second, of which each counts as captured when it comes."""

    modality, live = "video", True

    def __init__(self, name: str) -> None:
        self.name = name
        self._rng = np.random.default_rng(0)

    def open(self, spec: InputSpec) -> None: ...

    def read(self, timeout: float) -> Sample | None:
        time.sleep(min(0.05, timeout))
        picture = self._rng.integers(90, 110, (8, 8, 3)).astype(np.uint8)
        return Sample("video", picture, time.monotonic())

    def close(self) -> None: ...


def spin() -> None:
    while True:
        pass


@pytest.fixture
def busy() -> Iterator[None]:
    """Three busy loops for each core."""
    context = multiprocessing.get_context("spawn")
    loops = [context.Process(target=spin, daemon=True) for _ in range(LOOPS * (os.cpu_count() or 1))]
    for loop in loops:
        loop.start()
    yield
    for loop in loops:
        loop.kill()
        loop.join()


@pytest.mark.slow
@pytest.mark.usefixtures("busy")
def test_a_busy_machine_raises_no_false_alarm_in_twenty_starts(bundle: Bundle) -> None:
    logs = [Log() for _ in range(STARTS)]
    with ExitStack() as stack:
        for i, log in enumerate(logs):
            session = stack.enter_context(Session(bundle))
            session.subscribe(log)
            session.attach(Held(f"microphone {i}", 0.2 + 0.05 * i))
            session.attach(Seen(f"camera {i}"))
        time.sleep(SECONDS)
        reported = [[event for event in log.events if isinstance(event, SensorEvent)] for log in logs]
    for events in reported:
        assert [(e.kind, e.reason) for e in events] == [("attached", "")] * 2
