"""A sensor that contradicts the others, which agree: suspected, and hardly counted in the answer."""

from dataclasses import replace

import numpy as np
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.engine.belief import RARE, SCENE
from sensemble_runtime.engine.debounce import DEBOUNCE
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.events import SuspectEvent, fields_of
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.sensor import Sample

from tests.runtime.certain import certain
from tests.runtime.stepped import LiveSet

SENSORS = ("audio", "text", "video")


class Show:
    """A live set of three sensors, of which the camera weighs most."""

    def __init__(self, bundle: Bundle, policy: Policy | None = None) -> None:
        self.live_set, self.now = LiveSet(certain(bundle), policy), 0.0
        self.events: list[SuspectEvent] = []
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
        self.events += [e for e in self.live_set.changes(self.now) if isinstance(e, SuspectEvent)]
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
    assert [(event.modality, event.over) for event in show.events] == [("video", False)]
    assert fields_of(show.events[0])[1:] == ("video", "suspect", "it contradicts the others, which agree")
    made += [show.see(i % 3, i % 3) for i in range(6)]
    assert (made[-1].suspect, made[-1].live) == (None, SENSORS)
    assert [fields_of(event)[2] for event in show.events] == ["suspect", "agrees again"]
    assert show.events[1].time - show.events[0].time >= DEBOUNCE


def test_a_camera_that_takes_over_from_one_that_lied_is_not_suspected_for_that(bundle: Bundle) -> None:
    show = Show(bundle)
    for i in range(8):
        show.see(i % 3, (i + 1) % 3)
    show.live_set.add("video", "another camera")
    made = show.see(2, 2)
    assert (made.suspect, made.live) == (None, SENSORS)
    assert [fields_of(event)[2] for event in show.events] == ["suspect", "agrees again"]


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
