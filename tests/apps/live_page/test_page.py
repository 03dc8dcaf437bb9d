"""A viewer's picture of a session, and its buttons."""

from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit
from shutil import rmtree
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_apps.live_page.demonstration import demonstration
from sensemble_apps.live_page.examples import examples_of_classes
from sensemble_apps.live_page.session_state import SessionState, opinions
from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import SimulatedSessions
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.answer import DOUBTS
from sensemble_runtime.engine.live_set import LiveSet, WindowEmbedding
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.recording.reader import is_recording
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision import events

from tests.runtime.answering import SENSORS, classifier
from tests.waiting import wait_until

from .serving import Served, Viewer, noise, packed, serving

pytestmark = pytest.mark.real

ALL = ["audio", "text", "video"]


def test_the_state_has_sensors_the_answer_and_every_subset(replayed: Served, bundle: Bundle) -> None:
    with replayed.viewer() as viewer:
        state = viewer.next("state", lambda state: state["live"] == ALL and state["answer"])
        previews = viewer.next("state", lambda state: len(state["previews"]) > 0)["previews"]
    assert viewer.hello["labels"] == list(bundle.manifest.labels)
    assert [subset["subset"] for subset in viewer.hello["subsets"]] == [
        subsets.name(subset) for subset in subsets.subsets(ALL)
    ]
    assert {one["modality"]: one["state"] for one in state["sensors"]} == dict.fromkeys(ALL, "attached")
    opinions = {opinion["subset"]: opinion for opinion in state["lattice"]}
    assert set(opinions) == {subsets.name(subset) for subset in subsets.subsets(ALL)}
    whole = opinions[subsets.name(ALL)]
    assert (whole["label"], whole["confidence"]) == (state["answer"]["label"], state["answer"]["confidence"])
    assert previews.keys() <= {f"replay {modality}" for modality in ALL}


def test_answers_are_scored_by_live_set_against_the_example_or_what_somebody_says(replayed: Served) -> None:
    with replayed.viewer() as viewer:
        label = viewer.hello["labels"][0]
        viewer.send(type="label", label=label)
        labelled = viewer.next("state", lambda state: state["truth"] == label and state["live"] == ALL)
        name = subsets.name(labelled["live"])
        before = labelled["score"].get(name, {"n": 0})["n"]
        after = viewer.next("state", lambda state: state["score"].get(name, {"n": 0})["n"] > before)
        assert after["score"][name]["right"] <= after["score"][name]["n"]
        viewer.send(type="label", label="no such label")
        refused = viewer.next("refused")
        viewer.send(type="label", label=None)
        played = viewer.next("state", lambda state: state["truth"] is None and state["played"])
    assert refused["reason"].startswith("no such label: no such label; there are ")
    assert set(played["played"]) <= set(viewer.hello["labels"])


def test_what_a_browser_gives_is_not_scored_by_what_a_replay_plays(replayed: Served, bundle: Bundle) -> None:
    with replayed.viewer() as viewer:
        viewer.next("state", lambda state: state["played"])
        sensor, name = viewer.give("text")
        for number in range(600):  # a caption holds for two seconds, and a busy machine may miss them
            viewer.sample(sensor, number, packed(bundle, "text", "one"))
            state = viewer.next("state")
            if state["answer"] and not state["played"]:
                break
        assert [s["name"] for s in state["sensors"] if s["active"] and s["modality"] == "text"] == [name]
        viewer.send(type="stop", id=sensor)
        viewer.next("state", lambda state: state["played"])


def test_a_picture_of_a_browsers_camera_is_of_its_answers_window(empty: Served, bundle: Bundle) -> None:
    spec = bundle.specs["video"]
    times: dict[int, float] = {}  # of the samples, by their brightness
    sent = compared = 0
    with empty.viewer() as viewer:
        sensor, name = viewer.give("video")
        (tap,) = empty.sensors.all
        while compared < 12:
            sent += 1
            picture = np.full(spec.shape[2:], 8 * (sent % 32), np.uint8)
            viewer.sample(sensor, sent, packed(bundle, "video", picture))
            sleep(0.05)
            state = viewer.next("state")
            times |= {int(np.asarray(sample.data).mean()): sample.time for sample in tuple(tap.newest)}
            if not (state["answer"] and name in state["previews"]):
                continue
            data = b64decode(state["previews"][name]["picture"].partition(",")[2])
            shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).mean()
            time = times[8 * round(float(shown) / 8)]
            end = empty.session_state.began + state["answer"]["time"] - state["answer"]["ages"]["video"]
            assert time <= end + 2e-3
            assert not [later for later in times.values() if time < later <= end - spec.hop]
            compared += 1


def test_the_timeline_says_which_answers_were_right(bundle: Bundle) -> None:
    labels, pooled = bundle.manifest.labels, np.zeros(bundle.manifest.embedding, np.float32)
    with serving(bundle) as served:
        served.session_state.say(labels[0])
        for likeliest, doubt in (0, None), (1, None), (1, "several"):
            chances = np.eye(len(labels), dtype=np.float32)[likeliest]
            given = ("text",), {"text": 0.0}, chances, pooled
            served.report(Prediction(monotonic(), *given, {}, {}, labels=labels, doubt=doubt))
        entries = [entry for entry in served.session_state.timeline() if entry["kind"] == "answer"]
    assert [entry["right"] for entry in entries] == [True, False, None]
    assert entries[-1]["why"] == labels[1]


def test_a_demonstration_pulls_covers_and_lets_lie_and_begins_anew_some_time_after_the_last_press(
    bundle: Bundle, examples: Sequence[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        serving(bundle, examples) as served,
        demonstration(served.page, every=0.3),
        served.viewer() as viewer,
    ):
        for modality in ("video", "audio", "text"):
            viewer.next("state", lambda state, m=modality: not _of(state, m)["plugged"])
        for modality, condition in (("video", "occlusion"), ("video", "swapped"), ("text", "swapped")):
            shown = viewer.next(
                "state",
                lambda state, m=modality, c=condition: (
                    (_of(state, m)["condition"] or {}).get("condition") == c
                ),
            )
            assert modality in shown["demo"]
        viewer.send(type="unplug", sensor="replay video")
        viewer.next("state", lambda state: not state["demo"] and not _of(state, "video")["plugged"])
        monkeypatch.setattr("sensemble_apps.live_page.demonstration.IDLE", 0.0)
        viewer.next("state", lambda state: state["demo"] and all(one["plugged"] for one in state["sensors"]))
        assert served.page.demo


def _of(state: dict[str, Any], modality: str) -> dict[str, Any]:
    return next(one for one in state["sensors"] if one["modality"] == modality)


@pytest.mark.parametrize(
    "press", [{"type": "unplug", "sensor": "replay text"}, {"type": "give", "modality": "text"}]
)
def test_the_note_on_the_demonstration_ends_with_the_first_press(
    bundle: Bundle, examples: Sequence[Example], press: dict[str, str]
) -> None:
    with serving(bundle, examples) as served, served.viewer() as viewer:
        served.page.say_demo("it plays")
        viewer.next("state", lambda state: state["demo"] == "it plays" and "text" in state["live"])
        viewer.send(**press)
        viewer.next("state", lambda state: not state["demo"])


def test_a_page_has_an_example_of_each_class_and_none_where_the_data_is_gone(
    bundle: Bundle, dataset_folder: Path, tmp_path: Path
) -> None:
    labels = bundle.manifest.labels
    shown = examples_of_classes(dataset_folder, labels, bundle.specs)
    assert shown.keys() == set(labels)
    assert all(one.keys() == set(ALL) for one in shown.values())
    assert examples_of_classes(tmp_path / "gone", labels, bundle.specs) == {}


def test_two_viewers_get_each_entry_of_the_timeline_once(replayed: Served) -> None:
    numbers: list[list[int]] = []
    for _ in range(2):
        with replayed.viewer() as viewer:
            states = [viewer.next("state") for _ in range(5)]
        numbers.append([entry["number"] for state in states for entry in state["timeline"]])
    for seen in numbers:
        assert seen == list(range(1, len(seen) + 1))


def test_a_viewer_that_does_not_read_delays_nothing(bundle: Bundle, examples: Sequence[Example]) -> None:
    with serving(bundle, examples) as served, served.viewer(max_queue=1) as slow, served.viewer() as quick:
        quick.next("state", lambda state: state["live"] == ALL)
        count = len(served.predictions)
        wait_until(lambda: len(served.predictions) >= count + 4)  # nobody reads, until buffers are full
        quick.next("state")
        assert (served.session.missed, served.session.missed_events) == (0, 0)
        assert slow.next("state")


def test_a_page_that_begins_late_shows_what_one_from_the_start_shows(
    bundle: Bundle, examples: Sequence[Example]
) -> None:
    with serving(bundle, examples) as served, served.viewer() as viewer:
        viewer.next("state", lambda state: state["live"] == ALL)
        served.session.lose("replay video", "no picture came")
        viewer.next("state", lambda state: _of(state, "video")["kind"] == "lost")
        served.sensors.unplug("replay text")
        viewer.next("state", lambda state: not _of(state, "text")["plugged"])
        state = served.session_state
        late = SessionState(served.session, served.sensors, served.page.recorder, state.began)
        view = served.session.view()
        served.session.view = lambda: view  # type: ignore[method-assign] # for both the same moment
        state.touch()
        first, second = ({**one.snapshot(), "score": {}, "played": [], "version": 0} for one in (state, late))
    assert {**first, "process": {}} == {**second, "process": {}}
    assert [_of(second, m)["kind"] for m in ("text", "video")] == ["detached", "lost"]


def test_the_timeline_is_bounded(bundle: Bundle) -> None:
    with serving(bundle) as served:
        served.report(events.Event(monotonic(), "attached", "audio", "a"))
        for number in range(3000):
            served.report(events.Event(monotonic(), "lost", "audio", "a", str(number)))
        entries = served.session_state.timeline()
    assert len(entries) == 2000
    assert [entry["number"] for entry in entries[-2:]] == [3000, 3001]


def test_an_answer_that_no_longer_holds_is_none(bundle: Bundle) -> None:
    with serving(bundle) as served, served.viewer() as viewer:
        sensor, _ = viewer.give("text")
        number = 0
        while not served.predictions:  # a slow machine may encode none before it expires
            viewer.sample(sensor, number, packed(bundle, "text", "one"))
            viewer.next("state")
            number += 1

        def silent() -> bool:  # of the windows that were sent, some may be answered only now
            kinds = [entry["kind"] for entry in served.session_state.timeline()]
            shown = served.session_state.snapshot()
            ended = [kind for kind in kinds if kind in ("answer", "live")][-1] == "live"
            return ended and not shown["live"] and shown["answer"] is None

        wait_until(silent)


@contextmanager
def recording(served: Served) -> Iterator[tuple[Viewer, int]]:
    """Record a camera of a browser; give the viewer and the camera's number."""
    with served.viewer() as viewer:
        sensor, _ = viewer.give("video")
        viewer.send(type="record", on=True)
        viewer.next("state", lambda state: state["recorded"] is not None)
        yield viewer, sensor


def test_a_recording_that_dies_is_an_event_and_a_state_and_the_next_one_is_refused_or_good(
    empty: Served, tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    with recording(empty) as (viewer, sensor):
        rmtree(folder)  # its card is pulled
        viewer.sample(sensor, 0, packed(bundle, "video", noise(bundle, "video")))
        state = viewer.next("state", lambda state: state["recording_failed"])
        assert state["recorded"] is None
        assert state["recording_failed"].startswith(f"{folder}: cannot be written (No such file")
        assert f"sensemble: {state['recording_failed']}\n" in capsys.readouterr().err
        (entry,) = (one for one in empty.session_state.timeline() if one["kind"] == "recording failed")
        assert (entry["fault"], state["recording_failed"] in entry["text"]) == (True, True)
        limit = getrlimit(RLIMIT_FSIZE)
        setrlimit(RLIMIT_FSIZE, (0, limit[1]))  # the disk is full
        try:
            status, _, answer = empty.ask("/api/record", "POST", {"on": True})
        finally:
            setrlimit(RLIMIT_FSIZE, limit)
        assert (status, "cannot be written (File too large)" in answer.decode()) == (400, True)
        assert empty.state()["recording_failed"]
        assert empty.ask("/api/record", "POST", {"on": True})[0] == 204
        assert empty.state()["recording_failed"] == ""
        assert empty.ask("/api/record", "POST", {"on": False})[0] == 204
    assert is_recording(folder)


@given(st.integers(0, 2**32 - 1), st.sampled_from([{}, {"audio": "phone", "video": "phone"}]))
def test_each_node_of_the_lattice_answers_as_an_audit_of_its_sensors(
    seed: int, devices: dict[str, str]
) -> None:
    """By a live set that leaves out what is unfamiliar, and may find several sensors strange."""
    draw, known = np.random.default_rng(seed), classifier(familiar=-0.5, near=-2, devices=devices)
    specs = {m: InputSpec(m, "float32", (1, 5), rate=5, window=1, hop=1, ttl=9) for m in SENSORS}
    manifest = SimpleNamespace(audited={})
    bundle: Any = SimpleNamespace(
        modalities=SENSORS, specs=specs, classifier=known, manifest=manifest, fingerprint=""
    )
    live_set, windows = LiveSet(bundle), []
    for m in SENSORS:
        live_set.add(m)
        embedding = 2 * draw.normal(size=5).astype(np.float32)
        windows.append(WindowEmbedding(m, m, embedding, 0.0, 0.0, live_set.windows[m], False, None))
    prediction = live_set.fuse(windows, 0.0)
    assert prediction is not None
    nodes = {opinion["subset"]: opinion for opinion in opinions(bundle, prediction)}
    evidence = {one.modality: known.evidence(one.modality, one.embedding[np.newaxis]) for one in windows}
    audited = SimulatedSessions(subsets.subsets(SENSORS), known).answers(
        evidence, dict.fromkeys(SENSORS, np.ones(1, bool))
    )
    assert nodes.keys() == {subsets.name(subset) for subset in audited}
    for subset, found in audited.items():
        node = nodes[subsets.name(subset)]
        assert (node["confidence"], node["doubt"]) == (found.probabilities.max(), DOUBTS[found.doubts[0]])


def test_a_condition_degrades_what_the_session_and_the_viewer_get(replayed: Served) -> None:
    tap = next(tap for tap in replayed.sensors.all if tap.modality == "video")
    with replayed.viewer() as viewer:
        (video,) = (one for one in viewer.hello["modalities"] if one["modality"] == "video")
        effects = {condition["name"]: condition["effects"] for condition in video["conditions"]}
        viewer.send(type="condition", sensor=tap.name, condition="dark", severity=5)
        state = viewer.next("state", lambda state: any(one["condition"] for one in state["sensors"]))
        (applied,) = (one["condition"] for one in state["sensors"] if one["condition"])
        viewer.next("state", lambda _: tap.newest and np.asarray(tap.newest[-1].data).mean() < 40)
        viewer.send(type="condition", sensor=tap.name, condition=None, severity=1)
        viewer.next("state", lambda state: not any(one["condition"] for one in state["sensors"]))
        viewer.send(type="condition", sensor=tap.name, condition="fog", severity=1)
        assert viewer.next("refused")["reason"].startswith("fog: no such condition")
    assert applied["effect"] == effects["dark"][4]
    for body, status in ({"condition": "dark", "severity": 9}, 400), ({"condition": None}, 204):
        assert replayed.ask("/api/sensors/replay%20video/condition", "POST", body)[0] == status
