"""A session whose sensors are under conditions: degraded before they are encoded, and said so."""

import time
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.reader import read_events, read_runs
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import condition_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision.events import STATES, Event

from tests.runtime.puppets import Puppet, Session
from tests.waiting import wait_until

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("no_thread_is_left")]


def test_samples_are_degraded_and_the_sensor_says_by_what(bundle: Bundle, tmp_path: Path) -> None:
    quiet = condition_of("audio", "quiet")
    microphone, camera = Puppet("audio", "desk"), Puppet("video", "front")
    record = tmp_path / "record.sqlite"
    with Session(bundle, conditions=[Applied("audio", quiet, 3)], record=record) as running:
        running.attach(microphone)
        running.attach(camera)
        wait_until(lambda: microphone.holders and camera.holders)
        microphone.hear()
        stream = list(zip(range(4), running.stream(), strict=False))
        seen = [item for _, item in stream]
        assert running.detach("desk"), "it keeps its name"
    (prediction,) = (item for item in seen if isinstance(item, Prediction))
    noise = np.random.default_rng(0).uniform(-1, 1, (1, 1600)).astype(np.float32)
    expected = bundle.head.probabilities(bundle.encode("audio", np.float32(0.1) * noise))
    np.testing.assert_allclose(prediction.probabilities, expected, atol=2e-3)  # the floor is noise
    attached = {item.sensor: item.text for item in seen if isinstance(item, Event) and item.kind in STATES}
    assert attached == {"desk": "under quiet:3 (20 dB quieter, floor -70 dB)", "front": ""}
    (run,) = read_runs(record)
    events = read_events(record, run.id)
    assert ("desk", "attached", "under quiet:3 (20 dB quieter, floor -70 dB)") in [
        (e.sensor, e.kind, e.text) for e in events
    ]


def test_who_listens_gets_the_samples_that_are_used_as_they_are_degraded(bundle: Bundle) -> None:
    loud = condition_of("audio", "loud")
    standby, desk = Puppet("audio", "standby"), Puppet("audio", "desk")
    heard: list[tuple[str, Sample]] = []
    with Session(bundle, conditions=[Applied("audio", loud, 1)]) as running:
        listener = running.listen(lambda sensor, sample: heard.append((sensor, sample)))
        running.attach(standby)
        standby.hear()
        wait_until(lambda: len(heard) == 1)
        running.attach(desk)
        desk.hear()
        wait_until(lambda: len(heard) == 2)
        standby.hear()  # is not used, and so not heard
        wait_until(standby.acts.empty)
        desk.hear()
        wait_until(lambda: len(heard) == 3)
        assert running.unsubscribe(listener)
        assert not running.unsubscribe(listener)
        desk.hear()
        wait_until(desk.acts.empty)
    assert [sensor for sensor, _ in heard] == ["standby", "desk", "desk"]
    noise = np.random.default_rng(0).uniform(-1, 1, 1600).astype(np.float32)
    for _, sample in heard:
        np.testing.assert_allclose(sample.data, np.clip(np.float32(10**0.3) * noise, -1, 1), atol=1e-6)
    with pytest.raises(SessionError, match="closed"):
        running.listen(lambda *_: None)


def test_nobody_changes_a_sample_that_others_hear(bundle: Bundle) -> None:
    camera, buffer = Puppet("video"), np.zeros((8, 8, 3), np.uint8)
    kept: list[Sample] = []
    refused: list[ValueError] = []

    def erase(_: str, sample: Sample) -> None:
        try:
            np.asarray(sample.data)[...] = 0
        except ValueError as error:
            refused.append(error)

    with Session(bundle) as running:
        running.listen(erase)
        running.listen(lambda _, sample: kept.append(sample))
        running.attach(camera)
        for level in (10, 20, 30):  # a sensor that fills one buffer again and again
            buffer[:] = level
            camera.acts.put(Sample("video", buffer, time.monotonic()))
            wait_until(lambda level=level: len(kept) == level // 10 == len(refused))
    assert [int(np.mean(sample.data)) for sample in kept] == [10, 20, 30]
    assert buffer.flags.writeable, "it stays the sensor's"
