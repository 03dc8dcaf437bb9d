"""Sensors that end, are lost and fail as badly as real ones, and what becomes of the others."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime import backoff
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import SensorEvent
from sensemble_runtime.session import sensor_thread
from sensemble_sensors import Isolated
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from tests.runtime.puppets import Log, Owner, Puppet, Session, watched
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


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


@pytest.mark.usefixtures("soon")
def test_a_lost_sensor_leaves_at_once_and_comes_back(bundle: Bundle, log: Log) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with watched(bundle, log) as running:
        predictions = iter(running)
        running.attach(microphone)
        microphone.hear()
        assert next(predictions).live == ("audio",)
        microphone.openings.put(SensorUnavailableError("no such device; plug it in"))
        microphone.openings.put(SensorUnavailableError("no such device; plug it in"))
        microphone.acts.put(SensorLostError("unplugged"))
        wait_until(lambda: "lost" in log.of("audio"))
        assert running.live == ()
        running.attach(captions)
        captions.say()
        assert next(predictions).live == ("text",)
        wait_until(lambda: microphone.opened == 4)
        microphone.hear()
        assert next(predictions).latencies.keys() == {"audio"}
    assert log.of("audio") == ["attached", "lost", "unavailable", "attached"], (
        "a retry tells only what is new"
    )
    reasons = [e.reason for e in log.events if isinstance(e, SensorEvent) and e.reason]
    assert reasons == ["unplugged", "no such device; plug it in"]


def test_retries_back_off(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    class Waits(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            return super().wait(timeout)

    monkeypatch.setattr(backoff, "RETRY", (0.001, 0.004))
    waits: list[float | None] = []
    absent = Puppet("audio")
    for _ in range(6):
        absent.openings.put(SensorUnavailableError("absent"))
    owner = Owner()
    spec = bundle.specs["audio"]
    thread = sensor_thread.SensorThread("microphone", absent, spec, None, (), (), owner)
    thread._retry = Waits()
    thread.thread.start()
    wait_until(lambda: absent.opened == 7)
    thread.stop()
    thread.thread.join()
    assert waits[:6] == [0.001, 0.002, 0.004, 0.004, 0.004, 0.004]
    assert [str(e) for e in owner.failures] == ["absent"] * 6


def test_what_an_ending_sensor_gave_is_still_encoded_and_the_session_ends_with_the_last(
    bundle: Bundle, log: Log
) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with watched(bundle, log) as running:
        for sensor in (microphone, captions):
            running.attach(sensor)
        microphone.hear()
        microphone.acts.put(SensorEndedError("the file is over"))
        captions.say()
        captions.acts.put(SensorEndedError("the file is over"))
        found = list(running)
    assert {m for p in found for m in p.latencies} == {"audio", "text"}
    assert log.of("audio") == log.of("text") == ["attached", "ended"]
    assert log.live()[-1] == ("audio", "text"), "what it said last holds for its time to live"


@pytest.mark.usefixtures("soon")
def test_after_an_unexpected_exception_it_is_tried_again_and_the_rest_go_on(bundle: Bundle, log: Log) -> None:
    camera, captions = Puppet("video"), Puppet("text")
    with watched(bundle, log, camera, captions) as running:
        camera.acts.put(ZeroDivisionError("in the\ndriver"))
        wait_until(lambda: log.of("video") == ["attached", "lost", "attached"])
        captions.say()
        assert next(iter(running)).live == ("text",)
    (lost,) = [e for e in log.events if isinstance(e, SensorEvent) and e.kind == "lost"]
    assert lost.reason == "ZeroDivisionError: in the driver"


class Buggy(Puppet):
    """A sensor whose code is wrong in one place."""

    def read(self, timeout: float) -> Sample | None:
        return Sample("video", np.zeros(2) + "a picture", timeout)  # type: ignore[operator]


@pytest.mark.usefixtures("soon")
def test_an_error_in_a_sensors_own_code_is_told_with_its_traceback_and_tried_three_times(
    bundle: Bundle, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(bundle, log) as running:
        running.attach(Buggy("video", "desk"))
        assert list(running) == [], "it is over with its last sensor"
    assert log.of("desk") == ["attached", "lost", "attached", "lost", "attached", "failed"]
    (failed,) = [e for e in log.events if isinstance(e, SensorEvent) and e.kind == "failed"]
    assert "3 times in a row; mend the sensor's code" in failed.reason
    assert caplog.text.count("Traceback") == 1
    assert 'np.zeros(2) + "a picture"' in caplog.text


class Unclosable(Puppet):
    """A sensor that cannot be opened, nor closed for that."""

    def open(self, spec: InputSpec) -> None:
        self.device = spec.modality + 1  # type: ignore[operator]

    def close(self) -> None:
        self.device.close()  # type: ignore[has-type]


@pytest.mark.usefixtures("soon")
def test_a_second_error_in_a_sensors_own_code_does_not_hide_the_first(
    bundle: Bundle, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    with watched(bundle, log) as running:
        running.attach(Unclosable("video", "desk"))
        assert list(running) == []
    assert log.of("desk").count("failed") >= 1
    assert caplog.text.count("Traceback") == 2, "of each"


@pytest.mark.usefixtures("soon")
def test_errors_of_a_system_or_between_samples_never_stop_a_sensor(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY", (0.0, 0.0))
    camera = Puppet("video", "desk")
    with watched(bundle, log, camera):
        for error in (OSError, ValueError) * 4:
            for _ in range(5 if error is OSError else 1):
                camera.acts.put(error("out of order"))
            camera.see()
        camera.see()
        wait_until(camera.acts.empty)
        assert "failed" not in log.of("desk")


def test_a_lasting_session_goes_on_when_its_last_sensor_has_ended(bundle: Bundle, log: Log) -> None:
    first, second = Puppet("text", "first"), Puppet("text", "second")
    with watched(bundle, log, first, lasting=True) as running:
        first.acts.put(SensorEndedError("over"))
        wait_until(lambda: "ended" in log.of("first"))
        running.attach(second)
        second.say()
        assert next(iter(running)).live == ("text",)


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        (Sample("video", np.zeros((4, 4, 3), np.uint8), 0.0), "uint8 [4, 4, 3], not uint8 [8, 8, 3]"),
        (Sample("text", "I am no camera", 0.0), "gave a sample of text"),
    ],
)
def test_a_sample_that_no_encoder_takes_is_the_sensors_failure(
    bundle: Bundle, log: Log, sample: Sample, says: str
) -> None:
    camera = Puppet("video")
    with watched(bundle, log, camera) as running:
        camera.acts.put(sample)
        assert list(running) == [], "the last sensor is gone"
    assert any(says in e.reason for e in log.events if isinstance(e, SensorEvent))


@pytest.mark.usefixtures("soon")
def test_the_newest_of_two_sensors_is_active_and_the_older_takes_over(bundle: Bundle, log: Log) -> None:
    old, new = Puppet("text", "old"), Puppet("text", "new")
    with watched(bundle, log) as running:
        predictions = iter(running)
        running.attach(old)
        old.say("one")
        first = next(predictions).pooled
        running.attach(new)
        new.say("two")
        second = next(predictions).pooled
        assert not np.array_equal(first, second)
        old.say("one")
        wait_until(old.acts.empty)
        new.say("two")
        np.testing.assert_array_equal(next(predictions).pooled, second)
        new.openings.put(SensorUnavailableError("gone"))
        new.acts.put(SensorLostError("gone"))
        wait_until(lambda: "lost" in log.of("new"))
        assert running.live == ()
        old.say("one")
        np.testing.assert_array_equal(next(predictions).pooled, first)


def test_a_sensor_that_the_system_has_no_thread_for_is_not_attached(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    captions = Puppet("text")
    with Session(bundle) as running:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                running.attach(captions)
        assert running.attach(captions) == "text"
        captions.say()
        assert next(iter(running)).live == ("text",)


def test_a_session_knows_when_a_lost_sensor_is_tried_again(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY", (0.01, 1000.0))
    camera, captions = Puppet("video"), Puppet("text")
    for _ in range(30):  # the same failure again and again, which is reported once
        camera.openings.put(SensorUnavailableError("no such camera"))
    with watched(bundle, log, camera, captions) as running:
        wait_until(lambda: running.retries.get("video", 0.0) > time.monotonic() + 1)
        assert log.of("video") == ["unavailable"]
        assert list(running.retries) == ["video"]
        while not camera.openings.empty():
            camera.openings.get()
        running.retry("video")
        wait_until(lambda: "attached" in log.of("video"))
        assert running.retries == {}
        camera.openings.put(SensorUnavailableError("no such camera"))
        camera.acts.put(SensorLostError("gone"))
        wait_until(lambda: running.retries)
        running.detach("video")
        assert running.retries == {}


@pytest.mark.usefixtures("soon")
def test_an_error_in_the_code_of_an_isolated_sensor_ends_it_too(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "sensors"))
    from unruly import Unruly

    with watched(bundle, log) as running:
        name = running.attach(Isolated(Unruly, "raise", 0))
        assert list(running) == [], "it is over with its last sensor"
    assert log.of(name)[-1] == "failed"
    (failed,) = [e for e in log.events if isinstance(e, SensorEvent) and e.kind == "failed"]
    assert "ZeroDivisionError: in the driver, 3 times in a row; mend the sensor's code" in failed.reason
    assert caplog.text.count("in _misbehave") == 1, "the traceback of its own process, once"
