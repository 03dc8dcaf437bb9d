"""Tests of the windows that are pooled together, and of when they are encoded: real threads and encoders."""

import time
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import HopEvent
from sensemble_runtime.session.scheduler import Policy
from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.sensor import Sample

from tests.runtime.puppets import Log, Puppet, Session, slowed, watched
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def test_windows_that_complete_together_are_pooled_together(bundle: Bundle, log: Log) -> None:
    # Both others become ready after the caption, so that the encoder stops waiting, however long it would.
    microphone, camera, captions = Puppet("audio"), Puppet("video"), Puppet("text")
    with watched(bundle, log, policy=Policy(align=20.0)) as running:
        for sensor in (microphone, camera, captions):
            running.attach(sensor)
        wait_until(lambda: [e.kind for e in log.events] == ["attached"] * 3)
        captions.say()
        wait_until(lambda: "text" in running._state.live_set.ready)
        microphone.hear()
        camera.see()
        prediction = next(iter(running))
    assert prediction.live == ("audio", "text", "video")
    assert set(prediction.latencies) == {"audio", "text", "video"}


def example(folder: Path, i: int) -> Example:
    with wave.open(str(folder / f"{i}.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(np.full(1600, 1000 * i, np.int16).tobytes())
    cv2.imwrite(str(folder / f"{i}.png"), np.full((8, 8, 3), i, np.uint8))
    values = {"audio": folder / f"{i}.wav", "image": folder / f"{i}.png", "text": "one"}
    return Example(f"e{i}", "eval", ("one",), values, line=i + 1)


def test_a_replay_of_three_sensors_is_heard_and_seen_together(
    bundle: Bundle, log: Log, tmp_path: Path
) -> None:
    player = Replay([example(tmp_path, i) for i in range(5)], bundle.specs)
    with watched(bundle, log, policy=Policy(align=20.0)) as running:
        for modality in bundle.modalities:
            running.attach(player.sensor(modality))
        wait_until(lambda: [e.kind for e in log.events] == ["attached"] * 3)
        with player:
            found = list(running)
    assert [p.live for p in found] == [bundle.modalities] * len(found)
    for modality in bundle.modalities:
        encoded = sum(modality in p.latencies for p in found)
        assert encoded + found[-1].dropped[modality] == 5, f"{modality}: encoded, or dropped and counted"


def test_a_sensor_is_live_from_its_first_full_window_and_gone_at_once(bundle: Bundle, log: Log) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with watched(bundle, log) as running:
        predictions = iter(running)
        running.attach(captions)
        captions.say()
        assert next(predictions).live == ("text",)
        name = running.attach(microphone)
        half = np.zeros(800, np.float32)
        microphone.acts.put(Sample("audio", half, time.monotonic()))
        microphone.acts.put(Sample("audio", half, time.monotonic()))
        second = next(predictions)
        assert "audio" in second.live
        assert second.latencies.keys() == {"audio"}
        assert "audio" in running.live
        running.detach(name)
        assert "audio" not in running.live
        captions.say()
        assert next(predictions).live == ("text",)
        running.detach(name)  # again is allowed
    assert log.of("audio") == ["attached", "detached"]
    assert ("audio", "text") in log.live()
    assert log.live()[-1] == ("text",)
    assert [e.time for e in log.events] == sorted(e.time for e in log.events)


def test_a_window_waits_for_no_caption(bundle: Bundle) -> None:
    microphone, captions = Puppet("audio"), Puppet("text")
    with Session(bundle, policy=Policy(align=30.0)) as running:
        running.attach(captions)
        running.attach(microphone)
        wait_until(lambda: captions.holders and microphone.holders)
        microphone.hear()
        assert next(iter(running)).live == ("audio",)


def test_an_embedding_leaves_the_live_set_by_age(bundle: Bundle, log: Log) -> None:
    microphone = Puppet("audio")
    with watched(bundle, log, microphone) as running:
        microphone.hear(at=time.monotonic() - 0.5)
        next(iter(running))
        wait_until(lambda: () in log.live())
        assert running.live == ()
    assert log.live() == [("audio",), ()]


def test_under_overload_the_hop_stretches_and_an_event_says_so(
    bundle: Bundle, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed(bundle, monkeypatch, "audio", 0.1)
    microphone, captions = Puppet("audio"), Puppet("text")
    with watched(bundle, log, microphone, captions, policy=Policy(budget=0.5)) as running:

        def stretched() -> list[HopEvent]:
            microphone.acts.put(Sample("audio", np.zeros(800, np.float32), time.monotonic()))
            time.sleep(0.01)
            return [event for event in log.events if isinstance(event, HopEvent)]

        wait_until(stretched)
        (event, *_) = stretched()
        captions.say()
        said = next(p for p in running if "text" in p.latencies)
        assert microphone.acts.qsize() < 10, "no queue grows"
    assert event.modality == "audio"
    assert event.stretch >= 4, "0.1 s of each 0.2 s, for a hop of 0.05 s"
    assert event.hop == pytest.approx(0.05 * event.stretch)
    assert said.dropped["audio"] > 0


def test_what_ended_is_pooled_with_what_comes_after_it(bundle: Bundle, log: Log) -> None:
    microphone, camera = Puppet("audio"), Puppet("video")
    with watched(bundle, log, microphone, camera) as running:
        camera.see()
        camera.acts.put(SensorEndedError("the film is over"))
        wait_until(lambda: "ended" in log.of("video"))
        microphone.hear()
        microphone.acts.put(SensorEndedError("the film is over"))
        found = list(running)
    assert found[-1].live == ("audio", "video")
