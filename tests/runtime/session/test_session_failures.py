"""Sensors that end, are lost and fail as badly as real ones, and what becomes of the others."""

import threading
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import SensorEvent
from sensemble_sensors import Isolated
from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.sensor import Sample

from tests.runtime.puppets import Log, Puppet, Session, watched
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


def test_a_lasting_session_goes_on_when_its_last_sensor_has_ended(bundle: Bundle, log: Log) -> None:
    first, second = Puppet("text", "first"), Puppet("text", "second")
    with watched(bundle, log, first, lasting=True) as running:
        first.acts.put(SensorEndedError("over"))
        wait_until(lambda: "ended" in log.of("first"))
        running.attach(second)
        second.say()
        assert next(iter(running)).live == ("text",)


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
