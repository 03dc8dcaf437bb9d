"""Sensors, encoders, subscribers and disks that end, fail or never return, and what becomes of the others."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.executors import executor
from sensemble_runtime.record.writer import RecordWriter
from sensemble_sensors import Isolated
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import Event

from tests.runtime.puppets import Log, Puppet, Session, held, let_pass, watched
from tests.sensors.made_up import MadeUp
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_thread_is_left")]


def test_a_dead_sensor_delays_nobody(bundle: Bundle) -> None:
    camera, captions, dead = Puppet("video"), Puppet("text"), threading.Event()
    try:
        with Session(bundle) as running:
            running.attach(camera)
            camera.see()
            camera.acts.put(dead)
            predictions = iter(running)
            assert next(predictions).live == ("video",)
            running.attach(captions)
            for _ in range(3):
                captions.say()
                assert "text" in next(predictions).latencies
            running.detach("video")
            assert running.live == ("text",)
            dead.set()
    finally:
        dead.set()


def test_a_sensor_whose_code_hangs_gives_way_to_its_backup(bundle: Bundle, log: Log) -> None:
    clock, go = VirtualClock(), threading.Event()
    backup, hung = Puppet("text", "backup", clock), Puppet("text", "hung", clock)
    try:
        with watched(bundle, log, backup, hung, clock=clock) as running:
            predictions = iter(running)
            hung.say()
            assert next(predictions).live == ("text",)
            hung.acts.put(go)
            wait_until(hung.acts.empty)
            let_pass(clock, 4.0, backup)
            wait_until(lambda: log.of("hung") == ["attached", "unhealthy"])
            backup.say()
            assert next(predictions).live == ("text",)
            assert [sensor.name for sensor in running.view().sensors if sensor.active] == ["backup"]
            go.set()
            hung.say()
            assert next(predictions).live == ("text",)
            assert [sensor.name for sensor in running.view().sensors if sensor.active] == ["hung"]
    finally:
        go.set()
    assert log.of("backup") == ["attached"], "it is read all the while"


def test_a_sensor_that_never_opens_is_reported(bundle: Bundle, log: Log) -> None:
    class Stuck(Puppet):
        def open(self, spec: InputSpec) -> None:
            go.wait()
            super().open(spec)

    clock, go = VirtualClock(), threading.Event()
    with watched(bundle, log, Stuck("text"), clock=clock):
        wait_until(lambda: clock.advance(0.5) or log.of("text") == ["unavailable"])
        go.set()
        wait_until(lambda: log.of("text") == ["unavailable", "attached"])


def test_an_encoder_that_hangs_is_reported_and_the_others_go_on(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = VirtualClock()
    go, busy = held(bundle, monkeypatch, "audio")
    microphone, captions = Puppet("audio", clock=clock), Puppet("text", clock=clock)
    with watched(bundle, log, microphone, captions, clock=clock) as running:
        predictions = iter(running)
        microphone.hear()
        wait_until(busy.is_set)
        let_pass(clock, 10.0, microphone, captions)
        wait_until(lambda: "encoder failed" in [e.kind for e in log.events])
        captions.say()
        assert next(predictions).live == ("text",)
        go.set()
        wait_until(lambda: "encoder works again" in [e.kind for e in log.events])


def buggy() -> Sensor:
    return MadeUp("video", lambda *_: np.zeros(2) + "a picture", name="desk")  # type: ignore[operator]


def isolated() -> Sensor:
    from unruly import Unruly

    return Isolated(Unruly, "raise", 0)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("make", "line", "message"),
    [
        (buggy, 'np.zeros(2) + "a picture"', "3 times in a row; mend the sensor's code"),
        (isolated, "in _misbehave", "ZeroDivisionError: in the driver, 3 times"),
    ],
)
def test_an_error_in_a_sensors_own_code_is_told_with_its_traceback_and_tried_three_times(
    bundle: Bundle,
    log: Log,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Sensor],
    line: str,
    message: str,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "sensors"))
    with watched(bundle, log) as running:
        name = running.attach(make())
        assert list(running) == [], "it is over with its last sensor"
    assert log.of(name) == ["attached", "lost", "attached", "lost", "attached", "failed"]
    (failed,) = [e for e in log.events if e.kind == "failed"]
    assert message in failed.text
    assert caplog.text.count("Traceback") == caplog.text.count(line) == 1


def test_a_lasting_session_goes_on_when_its_last_sensor_has_ended(bundle: Bundle, log: Log) -> None:
    first, second = Puppet("text", "first"), Puppet("text", "second")
    with watched(bundle, log, first, lasting=True) as running:
        first.acts.put(SensorEndedError("over"))
        wait_until(lambda: "ended" in log.of("first"))
        running.attach(second)
        second.say()
        assert next(iter(running)).live == ("text",)


class SpeechlessError(RuntimeError):
    def __str__(self) -> str:
        raise ValueError("no text")


class SpeechlessPanic(BaseException):
    """A stand-in for a panic in Rust, which PyO3 raises as no `Exception`."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


FATAL = (SystemExit("3"), SpeechlessPanic())


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("error", [*FATAL, SpeechlessError()], ids=lambda error: type(error).__name__)
def test_whatever_a_sensor_raises_is_reported_and_it_is_tried_again(
    bundle: Bundle, log: Log, error: BaseException
) -> None:
    class Closing(Puppet):
        def close(self) -> None:
            super().close()
            if self.opened == 3:
                raise error

    captions = Closing("text")
    captions.openings.put(error)
    captions.acts.put(error)
    with watched(bundle, log, captions) as running:
        wait_until(lambda: log.of("text").count("lost") == 2 and captions.opened == 3)
        captions.acts.put(OSError("unplugged"))
        wait_until(lambda: captions.opened == 4)
        captions.say()
        assert next(iter(running)).live == ("text",)
    reasons = [e.text for e in log.events if e.kind == "lost"]
    matching = [reason for reason in reasons if reason.startswith(type(error).__name__)]
    assert len(matching) == 3, "out of open, read and close"


@pytest.mark.parametrize("error", FATAL, ids=lambda error: type(error).__name__)
@pytest.mark.usefixtures("soon")
def test_whatever_ends_an_encoder_is_reported_and_it_is_tried_again(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    real, broken = bundle.tokenize, [error]

    def tokenize(caption: str) -> np.ndarray:
        if caption and broken:
            raise broken.pop()
        return real(caption)

    monkeypatch.setattr(bundle, "tokenize", tokenize)
    captions = Puppet("text")
    with watched(bundle, log, captions) as running:
        captions.say()
        wait_until(lambda: any(e.kind.startswith("encoder") for e in log.events))
        captions.say()
        assert next(iter(running)).live == ("text",)
        wait_until(lambda: len([e for e in log.events if e.kind.startswith("encoder")]) == 2)
    failed, again = (e for e in log.events if e.kind.startswith("encoder"))
    assert failed.text.startswith(type(error).__name__)
    assert again.text == ""


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (FATAL[0], SessionError, "^SystemExit"),
        (FATAL[1], SessionError, "^SpeechlessPanic"),
        (OSError("full"), OSError, "^full$"),
    ],
)
def test_whatever_a_subscriber_raises_is_the_sessions_error(
    bundle: Bundle, error: BaseException, kind: type[Exception], message: str
) -> None:
    def listen(_: Event) -> None:
        raise error

    with Session(bundle) as running:
        running.subscribe(listen)
        running.attach(Puppet("text"))
        with pytest.raises(kind, match=message) as raised:
            list(running)
    assert error in (raised.value, raised.value.__cause__)


def test_what_breaks_the_background_writer_is_the_sessions_error(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(records: RecordWriter) -> None:
        real(records)
        raise MemoryError("while it is closed")

    real = RecordWriter.close
    monkeypatch.setattr(RecordWriter, "close", close)
    with pytest.raises(MemoryError), Session(bundle, record=tmp_path / "record.sqlite"):
        pass


def test_everything_that_is_stuck_is_waited_for_together_and_counted(
    bundle: Bundle,
) -> None:
    before, go = set(threading.enumerate()), threading.Event()

    class Joining(VirtualClock):
        """A clock by which time passes while one waits for a thread, once all that can end have ended."""

        def join(self, thread: threading.Thread, seconds: float) -> None:
            wait_until(lambda: not thread.is_alive() or len({*threading.enumerate()} - before) == 4 + 6)
            self.advance(seconds * thread.is_alive())

    clock = Joining()
    running = Session(bundle, clock=clock)
    for _ in range(4):
        running.subscribe(lambda _: go.wait(PATIENCE))
    for i in range(6):
        camera = Puppet("video", f"v{i}")
        camera.acts.put(go)
        running.attach(camera)
        wait_until(camera.acts.empty)
    began = clock.now()
    message = "4 subscribers, 6 sensors (v0, v1, v2, v3, v4, v5): did not stop within 5 s"
    with pytest.raises(SessionError, match=f"^{re.escape(message)}"):
        running.close()
    assert clock.now() - began < 12, "one after the other takes 50 s"
    running.close()
    go.set()
    wait_until(lambda: set(threading.enumerate()) <= before)


STUCK = """
import ctypes, sys, threading, time
from pathlib import Path
from sensemble_runtime.session import sensor_host
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.session.session import Session
from sensemble_sensors.sensor import Sample

class Captions:
    modality, name = "text", "captions"
    def open(self, spec): ...
    def read(self, timeout):
        time.sleep(timeout)
        return Sample("text", "one", time.monotonic())
    def close(self): ...

def spin():
    while True:
        pass

sensor_host.CLOSE = 0.5
bundle, busy = Bundle.open(Path(sys.argv[1])), threading.Event()
native = ctypes.CDLL(None).sleep
act = {"waits": threading.Event().wait, "spins": spin, "native": lambda: native(1000)}[sys.argv[2]]
bundle.encode = lambda modality, window: (busy.set(), act())
running = Session(bundle)
running.attach(Captions())
busy.wait()
try:
    running.close()
except SessionError as error:
    print(error)
"""


@pytest.mark.parametrize("act", ["waits", "spins", "native"])
def test_an_encoder_that_does_not_return_keeps_no_process_from_ending(bundle_folder: Path, act: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STUCK, bundle_folder, act],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "the text encoder" in ended.stdout
    assert "did not stop within 0.5 s" in ended.stdout


def test_a_session_goes_on_while_an_encoder_is_freed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    freeing, go = threading.Event(), threading.Event()

    def give_back_memory() -> None:
        freeing.set()
        assert go.wait(PATIENCE)

    for modality in bundle.modalities:
        bundle.load(modality)  # which gives memory back, too
    monkeypatch.setattr(executor, "give_back_memory", give_back_memory)
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle) as session:
        session.attach(microphone)
        session.attach(captions)
        microphone.hear()
        next(iter(session))
        session.detach("audio")
        assert freeing.wait(PATIENCE)
        captions.say()  # its prediction needs the session's lock, as all else does
        wait_until(lambda: session.live == ("text",))
        assert not go.is_set()
        go.set()
