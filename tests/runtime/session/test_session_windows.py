"""Tests of the windows that are pooled together, and of when they are encoded: real threads and encoders."""

import time
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.sensor import Sample

from tests.runtime.puppets import Log, Puppet, watched
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


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
