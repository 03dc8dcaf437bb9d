"""A sensor that contradicts the others, which agree: suspected, and left out of the answer."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.judge import Judge
from sensemble_runtime.events import SuspectEvent, fields_of
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.debounce import DEBOUNCE
from sensemble_runtime.session.live_set import LiveSet
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.session.suspicion import SCENE, Suspicion
from sensemble_sensors.sensor import Sample

from tests.runtime.certain import certain

SENSORS = ("audio", "text", "video")
CLASSES = 10

Scenes = list[dict[str, int]]


def opinion(label: int, confidence: float = 0.8, classes: int = CLASSES) -> np.ndarray:
    found = np.full(classes, (1 - confidence) / (classes - 1))
    found[label] = confidence
    return found


def suspects(scenes: Scenes, every: float = SCENE, sensors: tuple[str, ...] = SENSORS) -> list[str | None]:
    """Return who is suspected in each of some scenes, by the class that each sensor sees."""
    suspicion = Suspicion(sensors)
    return [
        suspicion.note({m: opinion(label) for m, label in seen.items()}, i * every)
        for i, seen in enumerate(scenes)
    ]


def lying(liar: str, scenes: int, sensors: tuple[str, ...] = SENSORS) -> Scenes:
    found = [dict.fromkeys(sensors, i % CLASSES) for i in range(scenes)]
    return [seen | {liar: (seen[liar] + 3) % CLASSES} for seen in found]


@pytest.mark.parametrize("liar", SENSORS)
def test_a_sensor_that_lies_is_found_within_a_few_scenes_and_trusted_again(liar: str) -> None:
    honest = lying(liar, 9, SENSORS)
    for seen in honest[4:]:
        seen[liar] = next(label for m, label in seen.items() if m != liar)
    found = suspects(honest)
    assert found[2:4] == [liar, liar]
    assert found[-2:] == [None, None]
    assert {*found} == {None, liar}


def test_a_liar_is_found_among_a_thousand_classes() -> None:
    suspicion = Suspicion(SENSORS)
    found = [
        suspicion.note({m: opinion(label, 0.8, 1000) for m, label in seen.items()}, i * SCENE)
        for i, seen in enumerate(lying("video", 5))
    ]
    assert found[2:] == ["video"] * 3


def test_sensors_that_agree_are_never_suspected() -> None:
    assert {*suspects([dict.fromkeys(SENSORS, i * i % CLASSES) for i in range(50)])} == {None}


def test_of_two_sensors_none_is_suspected() -> None:
    assert {*suspects(lying("audio", 50, ("audio", "video")), sensors=("audio", "video"))} == {None}
    absent = [{m: label for m, label in seen.items() if m != "text"} for seen in lying("audio", 50)]
    assert {*suspects(absent)} == {None}


def test_who_lies_remains_known_when_a_witness_leaves() -> None:
    scenes = lying("audio", 12)
    for seen in scenes[6:]:
        del seen["text"]
    assert suspects(scenes)[-1] == "audio"


def test_where_all_contradict_each_other_nobody_is_suspected() -> None:
    scenes = [{m: (i + 3 * k) % CLASSES for k, m in enumerate(SENSORS)} for i in range(50)]
    assert {*suspects(scenes)} == {None}


def test_windows_of_one_scene_count_once() -> None:
    """A hand that covers a digit misleads the camera for as long as it stays."""
    weak = {"audio": opinion(1, 0.4), "text": opinion(1, 0.4), "video": opinion(7)}
    still, moving = Suspicion(SENSORS), Suspicion(SENSORS)
    turned = [{m: np.roll(p, i) for m, p in weak.items()} for i in range(20)]
    assert {still.note(weak, i * SCENE) for i in range(20)} == {None}
    assert [moving.note(seen, i * SCENE) for i, seen in enumerate(turned)][-1] == "video"
    hasty = Suspicion(SENSORS)
    assert {hasty.note(seen, i * SCENE / 100) for i, seen in enumerate(turned)} == {None}


def test_a_sensor_that_lags_behind_is_not_suspected() -> None:
    """A caption comes later than the picture, in each scene."""
    scenes = []
    for i in range(30):
        scenes += [{"audio": i % 10, "text": (i - 1) % 10, "video": i % 10}, dict.fromkeys(SENSORS, i % 10)]
    assert {*suspects(scenes, SCENE / 2)[2:]} == {None}


def test_who_left_is_forgotten() -> None:
    suspicion = Suspicion(SENSORS)
    scenes = [{m: opinion(label) for m, label in seen.items()} for seen in lying("video", 7)]
    for i, seen in enumerate(scenes[:6]):
        suspicion.note(seen, i * SCENE)
    suspicion.forget("video")
    vague = scenes[6] | {"video": opinion(8, 0.12)}
    assert suspicion.note(vague, 6 * SCENE) is None


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_the_names_of_sensors_do_not_matter(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    given = draw.dirichlet(np.full(CLASSES, 0.3), (12, n))
    given[:, 1:] = 0.7 * np.eye(CLASSES)[draw.integers(CLASSES, size=12)][:, None] + 0.3 * given[:, 1:]
    for order in list(permutations(range(n)))[:: 1 + n]:
        found = []
        for names in (range(n), order):
            suspicion = Suspicion("abcde"[:n])
            seen = [
                suspicion.note(dict(zip(("abcde"[k] for k in names), row, strict=True)), i * SCENE)
                for i, row in enumerate(given)
            ]
            back = {"abcde"[k]: place for place, k in enumerate(names)}
            found.append([s if s is None else back[s] for s in seen])
        assert found[0] == found[1]


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    return Bundle.open(bundle_folder)


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


def test_the_answer_of_sensors_that_agree_stays_as_it_is(bundle: Bundle) -> None:
    show = Show(bundle)
    for i in range(12):
        made = show.see(i % 3, i % 3)
        again, _ = show.live_set.bundle.judge.answer(made.embeddings)
        assert made.embeddings.keys() == {*SENSORS}
        np.testing.assert_array_equal(made.probabilities, again.probabilities)


def test_no_label_of_a_multi_label_task_excludes_another(bundle: Bundle) -> None:
    sure = certain(bundle)
    sure.manifest, sure.head = (
        replace(sure.manifest, task="multi-label"),
        replace(sure.head, task="multi-label"),
    )
    sure.judge = Judge(sure.manifest, sure.head)
    show = Show(sure)
    assert {show.see(i % 3, (i + 1) % 3).suspect for i in range(12)} == {None}
