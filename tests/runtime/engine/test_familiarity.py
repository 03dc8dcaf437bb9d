"""A sensor that gives what is unlike its training, and one that contradicts the rest: reported, left out."""

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Familiarity, Head
from sensemble_runtime.engine.belief import RARE, SCENE
from sensemble_runtime.engine.debounce import DEBOUNCE
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision.events import Event
from sklearn.linear_model import LogisticRegression

from tests.runtime.certain import certain
from tests.runtime.puppets import Log, Puppet, Session
from tests.runtime.stepped import LiveSet
from tests.waiting import wait_until

WINDOW = 1600
BLACK = np.zeros((8, 8, 3), np.uint8)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, WINDOW).astype(np.float32)


def hum(seed: int) -> np.ndarray:
    """A background that the microphone was never trained on."""
    level = np.random.default_rng(seed).uniform(0.0, 0.01)
    return np.full(WINDOW, level, np.float32)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def score(known: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float, float]:
    """A logistic regression of known against background embeddings, and the least score of the known."""
    fitted = LogisticRegression(C=1e4, max_iter=10_000).fit(
        np.concatenate([known, background]), [1] * len(known) + [0] * len(background)
    )
    weight, bias = fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0])
    assert (known @ weight + bias).min() > (background @ weight + bias).max(), "they can be told apart"
    return weight, bias, float((known @ weight + bias).min()) - 1e-3


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    """The tiny bundle, whose microphone knows noise and whose camera knows coloured pictures."""
    opened = Bundle.open(bundle_folder)
    audio = [[opened.encode("audio", wave(i)[None]) for i in range(40)] for wave in (noise, hum)]
    frames = [np.stack([picture(i), picture(i + 50)])[None] for i in range(40)]
    dark = [np.full_like(frames[0], shade) for shade in range(6)]
    video = [[opened.encode("video", window) for window in windows] for windows in (frames, dark)]
    weights, biases, thresholds = zip(
        score(*map(np.stack, audio)),
        (np.zeros(8, np.float32), 0.0, -1.0),  # captions are all familiar
        score(*map(np.stack, video)),
        strict=True,
    )
    opened.head = replace(
        opened.head, familiarity=Familiarity(np.stack(weights), np.array(biases, np.float32))
    )
    familiar = dict(zip(opened.modalities, thresholds, strict=True))
    calibration = replace(opened.manifest.calibration, familiar=familiar)
    opened.manifest = replace(opened.manifest, calibration=calibration)
    labels = opened.manifest.labels
    opened.classifier = Classifier(opened.head, calibration, labels, opened.modalities)
    return opened


class Scene:
    """A live set in which a microphone and a camera give a window each, every tenth of a second."""

    def __init__(self, bundle: Bundle, policy: Policy | None = None, adapter: Adapter | None = None) -> None:
        self.live_set = LiveSet(bundle, policy, adapter)
        self.events: list[Event] = []
        self.now = 1.0
        for modality in ("audio", "video"):
            self.live_set.add(modality)

    def show(self, seconds: float, *, known_sound: bool = True, known_picture: bool = True) -> Prediction:
        """Play so long, and return the last prediction."""
        for step in range(round(10 * seconds)):
            self.now = round(self.now + 0.1, 1)
            self.live_set.push(Sample("audio", noise(step % 40) if known_sound else hum(step % 40), self.now))
            for offset in (0.1, 0.0):
                seen = picture(step % 40 + (0 if offset else 50)) if known_picture else BLACK
                self.live_set.push(Sample("video", seen, self.now - offset))
            made = self.live_set.step(self.now)
            self.events += self.live_set.changes(self.now)
        assert made is not None
        return made


def test_an_unfamiliar_microphone_leaves_the_answer_at_once_and_comes_back(bundle: Bundle) -> None:
    scene = Scene(bundle)
    assert scene.show(1.0).unfamiliar == ()
    silent = scene.show(0.1, known_sound=False)
    assert (silent.live, silent.unfamiliar) == (("video",), ("audio",))
    assert list(silent.opinions) == ["video", "audio"]
    np.testing.assert_array_equal(silent.opinions["video"].probabilities, silent.probabilities)
    assert silent.opinions["audio"].doubt == "unfamiliar"
    assert silent.levels["audio"] < -40
    assert scene.events == []
    assert scene.live_set.live(scene.now) == ("audio", "video"), "one window proves nothing"
    scene.show(2.5, known_sound=False)
    assert scene.live_set.live(scene.now) == ("video",)
    back = scene.show(0.1)
    assert (back.live, back.unfamiliar) == (("audio", "video"), ())
    assert len(scene.events) == 1
    scene.show(2.5)
    found = [(event.modality, event.kind) for event in scene.events]
    assert found == [("audio", "unfamiliar"), ("audio", "familiar again")]
    assert scene.events[0].time == pytest.approx(4.1, abs=0.11)


def test_a_corrected_sensor_is_live_though_its_windows_stay_unfamiliar(bundle: Bundle) -> None:
    """Predictions pooled it, and the live set that was reported lacked it."""
    corrects = SimpleNamespace(
        correct=lambda newest: {m: window.embedding for m, window in newest.items()},
        learn=lambda *_: None,
        pop_events=list,
    )
    scene = Scene(bundle, adapter=cast("Adapter", corrects))
    made = scene.show(2.5, known_sound=False)
    assert made.live == scene.live_set.live(scene.now) == ("audio", "video")


def test_events_do_not_flap(bundle: Bundle) -> None:
    scene = Scene(bundle)
    for _ in range(3):
        scene.show(1.5, known_sound=False)
        assert scene.show(0.1).live == ("audio", "video")
    assert scene.events == []
    scene.show(2.5, known_sound=False)
    for _ in range(3):
        scene.show(1.5)
        assert scene.show(0.1, known_sound=False).live == ("video",)
    assert [event.kind for event in scene.events] == ["unfamiliar"]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=8))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_mapping_of_a_prediction_covers_the_modalities_that_it_says(
    bundle: Bundle, steps: list[tuple[bool, bool, bool]]
) -> None:
    """As its attributes say, whichever windows are unfamiliar, and with captions or without."""
    scene = Scene(bundle)
    for known_sound, known_picture, said in steps:
        if said:
            scene.live_set.add("text")
            scene.live_set.push(Sample("text", "a person", scene.now))
        made = scene.show(0.1, known_sound=known_sound, known_picture=known_picture)
        near = {*made.live, *made.unfamiliar}
        assert made.ages.keys() == made.embeddings.keys() == set(made.live)
        assert made.opinions.keys() == near
        assert made.levels.keys() == near - {"text"}
        assert made.latencies.keys() <= set(scene.live_set.modalities)
        assert made.latencies.keys() >= {"audio", "video"}, "encoded for it, live or not"
        assert made.dropped.keys() == made.lost.keys() == set(scene.live_set.modalities)
        assert made.skipped == {}, "without a duty"


def test_a_policy_may_pool_what_is_unfamiliar(bundle: Bundle) -> None:
    scene = Scene(bundle, Policy(unfamiliar="pool"))
    made = scene.show(3.0, known_sound=False, known_picture=False)
    assert made.live == made.unfamiliar == ("audio", "video")
    assert made.doubt != "unfamiliar", "what the classifier says counts"
    assert len(scene.events) == 2


def test_a_bundle_without_scores_knows_nothing_unfamiliar(bundle_folder: Path) -> None:
    made = Scene(Bundle.open(bundle_folder)).show(3.0, known_sound=False, known_picture=False)
    assert (made.live, made.unfamiliar) == (("audio", "video"), ())


def test_a_session_reports_it_and_that_the_sensor_left(bundle: Bundle, log: Log) -> None:
    microphone = Puppet("audio")
    with Session(bundle) as session:
        session.subscribe(log)
        name = session.attach(microphone)

        def hear() -> bool:
            microphone.acts.put(Sample("audio", hum(1), time.monotonic()))
            return any(event.kind == "unfamiliar" for event in log.events)

        wait_until(hear)
        session.detach(name)
        wait_until(lambda: any(event.kind == "familiar again" for event in log.events))


SENSORS = ("audio", "text", "video")


class Show:
    """A live set of three sensors, of which the camera weighs most."""

    def __init__(self, bundle: Bundle, policy: Policy | None = None) -> None:
        self.live_set, self.now = LiveSet(certain(bundle), policy), 0.0
        self.events: list[Event] = []
        for modality in SENSORS:
            self.live_set.add(modality)

    def see(self, audio: int, video: int) -> Prediction:
        """Show a scene for as long as it counts; the caption says what is heard."""
        self.now += SCENE
        self.live_set.push(Sample("audio", np.full(1600, audio / 10, np.float32), self.now))
        self.live_set.push(Sample("text", ("zero", "one", "two")[audio], self.now))
        for offset in (0.1, 0.0):
            self.live_set.push(Sample("video", np.full((8, 8, 3), 100 * video, np.uint8), self.now - offset))
        made = self.live_set.step(self.now)
        self.events += self.live_set.changes(self.now)
        assert made is not None
        return made


def test_a_session_leaves_out_a_camera_that_lies_and_says_so(bundle: Bundle) -> None:
    show = Show(bundle)
    assert show.see(0, 0).suspect is None
    made = [show.see(i % 3, (i + 1) % 3) for i in range(8)]
    last = made[-1]
    assert (last.suspect, last.live, last.best) == ("video", ("audio", "text"), "one")
    assert last.opinions.keys() == last.levels.keys() | {"text"} == {*SENSORS}
    assert last.embeddings.keys() == last.ages.keys() == {"audio", "text"}
    assert show.live_set.live(show.now) == ("audio", "text")
    (event,) = show.events
    assert (event.modality, event.kind, event.text) == (
        "video",
        "suspect",
        "it contradicts the others, which agree",
    )
    made += [show.see(i % 3, i % 3) for i in range(6)]
    assert (made[-1].suspect, made[-1].live) == (None, SENSORS)
    assert [event.kind for event in show.events] == ["suspect", "agrees again"]
    assert show.events[1].time - show.events[0].time >= DEBOUNCE


def test_a_camera_that_takes_over_from_one_that_lied_is_not_suspected_for_that(bundle: Bundle) -> None:
    show = Show(bundle)
    for i in range(8):
        show.see(i % 3, (i + 1) % 3)
    show.live_set.add("video", "another camera")
    made = show.see(2, 2)
    assert (made.suspect, made.live) == (None, SENSORS)
    assert [event.kind for event in show.events] == ["suspect", "agrees again"]


def test_a_policy_may_pool_a_suspect(bundle: Bundle) -> None:
    show = Show(bundle, Policy(unfamiliar="pool"))
    made = [show.see(i % 3, (i + 1) % 3) for i in range(8)][-1]
    assert (made.suspect, made.live, made.best) == ("video", SENSORS, "two")


def test_no_label_of_a_multi_label_task_excludes_another(bundle: Bundle) -> None:
    sure = certain(bundle)
    sure.manifest, sure.head = (
        replace(sure.manifest, task="multi-label"),
        replace(sure.head, task="multi-label"),
    )
    known = sure.manifest
    sure.classifier = Classifier(sure.head, known.calibration, known.labels, SENSORS)
    show = Show(sure)
    assert {show.see(i % 3, (i + 1) % 3).suspect for i in range(12)} == {None}


def test_what_another_head_made_of_a_sensor_is_forgotten(bundle: Bundle) -> None:
    show = Show(bundle)
    for i in range(8):
        suspect = show.see(i % 3, (i + 1) % 3).suspect
    assert suspect == "video"
    other = Bundle.open(bundle.path)
    labels = other.manifest.labels[:2]
    other.manifest = replace(other.manifest, labels=labels)
    other.head = Head(np.eye(2, 8, dtype=np.float32), np.zeros(2, np.float32), "multi-class")
    other.classifier = Classifier(other.head, show.live_set.bundle.manifest.calibration, labels, SENSORS)
    made = show.live_set.bundle.with_head(other)
    assert made is not None
    show.live_set.replace_head(made)
    assert {*show.see(0, 0).lies.values()} == {RARE}
    assert show.see(1, 1).label == "one"
