"""Sensors and encoders that a test controls, and a log of the events that a session reports."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session import session
from sensemble_sensors.clock import REAL, Clock, VirtualClock
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import STATES, Event

from tests.waiting import PATIENCE, wait_until

Act = Sample | BaseException | threading.Event
Session = partial(session.Session, health=None)  # for no puppet is ever healthy


class Puppet:
    """A sensor that gives, raises or blocks on what the test puts into it."""

    def __init__(self, modality: str, name: str | None = None, clock: Clock = REAL) -> None:
        self.modality, self.clock = modality, clock
        self.name = name or modality
        self.played = False
        self.acts: queue.Queue[Act] = queue.Queue()
        self.openings: queue.Queue[BaseException] = queue.Queue()
        self.opened = self.reads = 0
        self.holders: set[int] = set()

    def open(self, spec: InputSpec) -> None:
        assert spec.modality == self.modality
        assert not self.holders, "one thread at a time holds a sensor"
        self.opened += 1
        if not self.openings.empty():
            raise self.openings.get()
        self.holders.add(threading.get_ident())

    def read(self, timeout: float) -> Sample | None:
        assert self.holders == {threading.get_ident()}
        self.reads += 1
        try:
            act = self.acts.get(timeout=timeout if self.clock is REAL else 0.01)
        except queue.Empty:
            return None
        if isinstance(act, threading.Event):
            act.wait()
            return None
        if isinstance(act, BaseException):
            raise act
        return act

    def close(self) -> None:
        self.holders.clear()

    def hear(self, *, at: float | None = None) -> None:
        """Give one audio window of noise."""
        noise = np.random.default_rng(0).uniform(-1, 1, 1600).astype(np.float32)
        self.acts.put(Sample("audio", noise, self.clock.now() if at is None else at))

    def see(self) -> None:
        """Give one video window."""
        now = self.clock.now()
        for before in (0.1, 0.0):
            self.acts.put(Sample("video", np.full((8, 8, 3), 9, np.uint8), now - before))

    def say(self, caption: str = "one") -> None:
        self.acts.put(Sample("text", caption, self.clock.now()))


def let_pass(clock: VirtualClock, seconds: float, *readers: Puppet) -> None:
    """Let time pass in steps, in each of which these sensors report a read."""
    for _ in range(round(2 * seconds)):
        clock.advance(0.5)
        before = [reader.reads for reader in readers]
        for reader, reads in zip(readers, before, strict=True):
            wait_until(lambda reader=reader, reads=reads: reader.reads > reads + 1)


@contextmanager
def watched(bundle: Bundle, log: "Log", *sensors: Sensor, **options: object) -> Iterator[session.Session]:
    """A session of these sensors, without health checks unless asked for, whose events a log notes."""
    with Session(bundle, **options) as running:
        running.subscribe(log)
        for sensor in sensors:
            running.attach(sensor)
        yield running


class Log:
    """The events of a session, and a way to wait for them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, item: Prediction | Event) -> None:
        if not isinstance(item, Prediction):
            self.events.append(item)

    def of(self, name: str) -> list[str]:
        return [e.kind for e in self.events if e.kind in STATES and e.sensor == name]

    def live(self) -> list[tuple[str, ...]]:
        return [e.live for e in self.events if e.kind == "live"]


def held(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, modality: str
) -> tuple[threading.Event, threading.Event]:
    """Hold back what encodes a modality; return what lets it go, and what is set once something is held."""
    go, busy, real = threading.Event(), threading.Event(), bundle.encode

    def encode(asked: str, window: np.ndarray) -> np.ndarray:
        if asked == modality:
            busy.set()
            assert go.wait(PATIENCE)
        return real(asked, window)

    monkeypatch.setattr(bundle, "encode", encode)
    return go, busy
