"""Encoders that are slow or fail, and what becomes of the others: real threads and real encoders."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import EncoderError
from sensemble_runtime.events import EncoderEvent
from sensemble_runtime.session.scheduler import Policy
from sensemble_sensors.sensor import Sample

from tests.runtime.puppets import Log, Puppet, Session, held, slowed, watched
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_a_slow_encoder_holds_up_no_quick_one(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    go, busy = held(bundle, monkeypatch, "video")
    camera, captions = Puppet("video"), Puppet("text")
    with Session(bundle) as running:
        running.attach(camera)
        running.attach(captions)
        camera.see()
        assert busy.wait(20)
        predictions = iter(running)
        for _ in range(5):
            captions.say()
            prediction = next(predictions)
            assert (prediction.live, prediction.dropped["text"]) == (("text",), 0)
        go.set()
        assert next(predictions).live == ("text", "video")


def test_what_is_encoded_in_parallel_and_ends_together_is_one_prediction(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed(bundle, monkeypatch, "video", 0.1)
    microphone, camera = Puppet("audio"), Puppet("video")
    with watched(bundle, log, microphone, camera, policy=Policy(align=20.0)) as running:
        wait_until(lambda: [e.kind for e in log.events] == ["attached"] * 2)
        microphone.hear()
        camera.see()
        assert set(next(iter(running)).latencies) == {"audio", "video"}


@pytest.mark.usefixtures("soon")
def test_an_encoder_that_fails_leaves_the_live_set_is_reported_and_tried_again(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failing = bundle.encode, threading.Event()

    failures: list[str] = []

    def broken(modality: str, window: np.ndarray) -> np.ndarray:
        if modality == "audio" and failing.is_set():
            failures.append(modality)
            raise EncoderError("the delegate\nfailed")
        return real(modality, window)

    monkeypatch.setattr(bundle, "encode", broken)
    microphone, captions = Puppet("audio"), Puppet("text")
    with watched(bundle, log, microphone, captions) as running:
        predictions = iter(running)
        microphone.hear()
        assert next(predictions).live == ("audio",)
        failing.set()
        for tries in range(1, 4):
            microphone.hear()
            wait_until(lambda count=tries: len(failures) == count)
            wait_until(lambda: not running._state.is_pending("audio"))
            assert "audio" not in running.live
            captions.say()
            assert next(predictions).live == ("text",)
        failing.clear()
        microphone.hear()
        assert next(predictions).live == ("audio", "text")
    reported = [(e.modality, e.reason) for e in log.events if isinstance(e, EncoderEvent)]
    assert reported == [("audio", "EncoderError: the delegate failed"), ("audio", "")]
    assert log.of("audio") == ["attached"], "its sensor is well"


def test_a_mute_sensor_is_waited_for_once(bundle: Bundle, log: Log) -> None:
    microphone, mute = Puppet("audio"), Puppet("video")
    with watched(bundle, log, mute, microphone, policy=Policy(align=0.2)) as running:
        wait_until(lambda: [e.kind for e in log.events] == ["attached"] * 2)
        assert running._sensors.starting == {"audio", "video"}
        predictions = iter(running)
        microphone.hear()
        next(predictions)
        assert running._sensors.starting == set(), "it was waited for in vain"
        mute.see()
        wait_until(lambda: running._sensors.modalities == {"audio", "video"} and "video" in running.live)


def test_a_window_waits_for_no_later_one_of_its_own(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    go, busy = held(bundle, monkeypatch, "text")
    captions = Puppet("text")
    with Session(bundle, policy=Policy(align=1000.0)) as running:
        running.attach(captions)
        captions.say()
        assert busy.wait(20)
        captions.say()
        wait_until(lambda: "text" in running._state.live_set.ready)
        go.set()
        next(iter(running))


def test_an_unrelated_window_does_not_part_two_that_end_together(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hear, _), (see, _) = (held(bundle, monkeypatch, modality) for modality in ("audio", "video"))
    monkeypatch.setattr(bundle, "specs", {m: replace(spec, ttl=60.0) for m, spec in bundle.specs.items()})
    microphone, camera, captions = Puppet("audio"), Puppet("video"), Puppet("text")
    with watched(bundle, log, policy=Policy(align=5.0, skew=60.0)) as running:
        for sensor in (microphone, camera, captions):
            running.attach(sensor)
        wait_until(lambda: [e.kind for e in log.events] == ["attached"] * 3)
        predictions = iter(running)
        microphone.acts.put(Sample("audio", np.zeros(800, np.float32), time.monotonic()))
        wait_until(lambda: "audio" in running._state.live_set.modalities)
        now = time.monotonic()
        for before in (0.1, 0.0):  # a window that ended long before
            camera.acts.put(Sample("video", np.zeros((8, 8, 3), np.uint8), now - 20 - before))
        wait_until(lambda: "video" in running._state.encoding)
        microphone.acts.put(Sample("audio", np.zeros(800, np.float32), now + 0.05))
        captions.say()
        wait_until(lambda: "audio" in running._state.encoding and "text" in running._state.encoded)
        see.set()
        assert next(predictions).latencies.keys() == {"video"}
        hear.set()
        assert next(predictions).latencies.keys() == {"audio", "text"}
