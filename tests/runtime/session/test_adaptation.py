import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Head, calibrated
from sensemble_runtime.bundle.manifest import Calibration, ModalityCalibration
from sensemble_runtime.engine.answer import opinion
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session import adaptation
from sensemble_sensors.sensor import Sample

from tests.runtime.puppets import Log, Puppet, Session
from tests.runtime.stepped import LiveSet
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.real

BRIGHTNESS = (20, 128, 235)  # of the pictures of the three classes


def frames(brightness: int, end: float) -> list[Sample]:
    picture = np.full((8, 8, 3), brightness, np.uint8)
    return [Sample("video", picture, end - 0.1 + 0.1 * i) for i in range(2)]


@pytest.fixture
def sighted(bundle: Bundle) -> Bundle:
    """A bundle that tells three pictures apart by their brightness, and is calibrated."""
    windows = [np.full((1, 2, 8, 8, 3), level, np.uint8) for level in BRIGHTNESS]
    means = np.stack([bundle.encode("video", window) for window in windows])
    weight = 4 * (means - means.mean(0)) / np.square(means - means.mean(0)).sum(1).max()
    bias = -0.5 * (weight * (means + means.mean(0))).sum(1)
    bundle.head = Head(weight.astype(np.float32), bias.astype(np.float32), "multi-class")
    entries = {m: ModalityCalibration(0.2, 0.5, 100, 100) for m in ("audio", "video")}
    known = Calibration(0.05, 0.6, 100, 0.0, entries, {})
    bundle.manifest = replace(bundle.manifest, calibration=known)
    bundle.classifier = Classifier(bundle.head, known, bundle.manifest.labels, bundle.modalities)
    return bundle


def test_an_adapted_opinion_takes_its_share_of_the_answer(sighted: Bundle, tmp_path: Path) -> None:
    with Adapter(sighted, tmp_path / "kept") as adapter:
        live_set = LiveSet(sighted, adapter=adapter)
        live_set.add("video", "camera")
        live_set.add("audio", "microphone")
        rng = np.random.default_rng(0)
        for i in range(60):
            label, end = int(rng.integers(3)), 10.0 * (i + 1)
            sound = rng.uniform(-0.3, 0.3, 1600) * (label + 1)
            for sample in [Sample("audio", sound.astype(np.float32), end), *frames(BRIGHTNESS[label], end)]:
                live_set.push(sample)
            assert live_set.step(end) is not None
            adapter.study()
        learner = adapter.learners["audio", "microphone"]
        assert learner.trial.windows > 30
        learner.trial.used = True  # whatever the test would say of these windows
        adapter.study()
        assert learner.correction is not None
        live_set.push(Sample("audio", sound.astype(np.float32), 1000.0))
        for sample in frames(BRIGHTNESS[1], 1000.0):
            live_set.push(sample)
        prediction = live_set.step(1000.0)
        assert prediction is not None
        assert prediction.adapted == ("audio",)
        heard, seen = prediction.embeddings["audio"], prediction.embeddings["video"]
        shipped = sighted.encode("audio", sound.astype(np.float32)[None])
        added = learner.correction(shipped)
        change = sighted.head.logits(heard) - sighted.head.logits(shipped)
        np.testing.assert_allclose(change - change.mean(), added - added.mean(), atol=1e-3)
        np.testing.assert_array_equal(prediction.pooled, (heard + seen) / 2)
        own = calibrated(sighted.head.logits(heard), 0.2, 0.5, "multi-class")
        np.testing.assert_allclose(prediction.opinions["audio"].probabilities, own, atol=1e-3)
        evidence, lies = prediction.evidence, prediction.lies
        again = opinion(sighted.classifier, evidence, tuple(evidence), lies)  # as the lattice asks
        np.testing.assert_array_equal(again.probabilities, prediction.probabilities)


@pytest.mark.usefixtures("no_thread_is_left")
def test_a_session_learns_and_keeps(sighted: Bundle, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with Session(sighted, adapt=Adapter(sighted, kept)) as session:
        camera, microphone = Puppet("video", "camera"), Puppet("audio", "microphone")
        session.attach(camera)
        session.attach(microphone)
        items = iter(session)
        for _ in range(3):
            microphone.hear()
            now = time.monotonic()
            for sample in frames(BRIGHTNESS[2], now):
                camera.acts.put(sample)
            assert isinstance(next(items), Prediction)
        wait_until(lambda: session.live == ("audio", "video"))  # one sensor alone gives predictions, too
        session.teach("two")
        with pytest.raises(AdaptError, match="no label"):
            session.teach("dog")
    with Adapter(sighted, kept) as adapter:
        assert ("audio", "microphone") in adapter.learners
        assert ("video", "camera") in adapter.learners


def test_a_session_that_does_not_adapt_is_not_taught(sighted: Bundle) -> None:
    with Session(sighted) as session, pytest.raises(AdaptError, match="does not adapt"):
        session.teach("two")


def test_two_sessions_do_not_share_a_folder(sighted: Bundle, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with (
        Session(sighted, adapt=Adapter(sighted, kept)),
        pytest.raises(AdaptError, match="in use by another session"),
    ):
        Adapter(sighted, kept)
    Adapter(sighted, kept).close()


def test_a_file_that_is_set_aside_is_an_event(sighted: Bundle, tmp_path: Path, log: Log) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "corrections").write_text("damaged")
    with Session(sighted, adapt=Adapter(sighted, kept)) as session:
        session.subscribe(log)
        session.attach(Puppet("video", "camera"))
        wait_until(lambda: any(event.kind == "set aside" for event in log.events))
    (event,) = (event for event in log.events if event.kind == "set aside")
    assert "corrections: damaged" in event.text


def test_what_cannot_be_written_is_reported_and_raised_at_the_end(
    sighted: Bundle, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "EVERY", 0.05)
    session = Session(sighted, adapt=Adapter(sighted, tmp_path / "kept"))
    session.subscribe(log)
    (tmp_path / "kept").rename(tmp_path / "away")
    camera, microphone = Puppet("video", "camera"), Puppet("audio", "microphone")
    session.attach(camera)
    session.attach(microphone)
    items = iter(session)
    microphone.hear()
    for sample in frames(BRIGHTNESS[2], time.monotonic()):
        camera.acts.put(sample)
    next(items)
    session.teach("two")
    # It writes when it studies the next item.
    wait_until(lambda: microphone.hear() or any(e.kind == "unsaved" for e in log.events))
    with pytest.raises(AdaptError, match="cannot be written"):
        session.close()


def test_a_disk_that_does_not_answer_is_said_when_closing(
    sighted: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adaptation, "LAST", 0.2)
    before, go = set(threading.enumerate()), threading.Event()
    monkeypatch.setattr(Adapter, "save", lambda *_: go.wait(PATIENCE))
    session = Session(sighted, adapt=Adapter(sighted, tmp_path / "kept"))
    with pytest.raises(AdaptError, match="kept: its disk does not answer"):
        session.close()
    session.close()
    go.set()
    wait_until(lambda: set(threading.enumerate()) <= before)
