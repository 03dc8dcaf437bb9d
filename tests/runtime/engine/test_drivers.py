"""A session on threads, one in virtual time and an audit answer equally: one engine decides in all."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensemble_runtime.auditing.answers import SimulatedSessions
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier
from sensemble_runtime.bundle.head import Familiarity
from sensemble_runtime.engine.answer import DOUBTS
from sensemble_runtime.engine.belief import SCENE
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision.events import Event

from tests.runtime.certain import certain
from tests.runtime.puppets import Puppet

MODALITIES = ("audio", "text", "video")
LABEL = st.integers(0, 2)
COVERED, STRANGE = 3, 4  # unlike what is known: as of a broken sensor, and as something new
SHOWN = {"audio": (0, 1, 2, COVERED, STRANGE), "text": (0, 1, 2), "video": (0, 1, 2, COVERED)}
# A scene shows a class or something unlike it to each sensor, or is out of its sight.
SCENES = st.lists(
    st.tuples(*(st.sampled_from((None, *labels)) for labels in SHOWN.values())).filter(
        lambda scene: {*scene} != {None}
    ),
    min_size=1,
    max_size=12,
)
# A step shows a class to a sensor, or, without one, plugs it in or out; so many seconds after the last.
STEPS = st.lists(st.tuples(st.sampled_from(MODALITIES), st.none() | LABEL, st.sampled_from([0.5, 2.5])))
SLOW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    """A bundle whose encoders know, and whose embeddings live for a second."""
    known = certain(Bundle.open(bundle_folder))
    known.specs = {m: replace(spec, ttl=1.0) for m, spec in known.specs.items()}
    square = np.eye(8, dtype=np.float32)
    scores = Familiarity(
        np.tile(-40 * square[COVERED], (3, 1)),
        np.full(3, 5, np.float32),
        np.tile(10 * square[:3, np.newaxis], (3, 1, 1, 1)),
        np.full(3, -5, np.float32),
    )
    calibration = replace(known.manifest.calibration, familiar=dict.fromkeys(MODALITIES, -1.0))
    head = replace(known.head, familiarity=scores)
    known.classifier = Classifier(head, calibration, known.manifest.labels, MODALITIES)
    return known


def shown(modality: str, label: int, end: float) -> list[Sample]:
    """Return the samples of a window that shows a class."""
    if modality == "text":
        return [Sample("text", ("zero", "one", "two")[label], end)]
    if modality == "audio":
        return [Sample("audio", np.full(1600, label / 10, np.float32), end)]
    picture = np.full((8, 8, 3), brightness(label), np.uint8)
    return [Sample("video", picture, end - before) for before in (0.1, 0.0)]


def brightness(label: int) -> int:
    return min(100 * label, 255)


def contents(predictions: Sequence[Prediction]) -> list[object]:
    """Return what predictions say, to compare it."""
    return [
        (p.time, p.live, p.ages, p.probabilities.tolist(), p.doubt, p.lies, p.suspect, p.dropped)
        for p in predictions
    ]


@SLOW
@given(scenes=SCENES)
def test_an_audit_answers_as_a_session_that_gets_its_examples_as_one_stream(
    bundle: Bundle, scenes: list[tuple[int | None, ...]]
) -> None:
    session, found = VirtualSession(bundle), []
    for modality in MODALITIES:
        session.plug(modality, modality, 0.0)
    for i, scene in enumerate(scenes):
        now = SCENE * (i + 1)
        for modality, label in zip(MODALITIES, scene, strict=True):
            for sample in shown(modality, label, now) if label is not None else ():
                session.give(sample, now)
        session.engine.stop_waiting(MODALITIES)
        found += [item for item in session.advance(now) if isinstance(item, Prediction)]
    classifier = bundle.classifier
    windows = {
        m: [
            bundle.encode(m, np.full(4, label / 10 if m == "audio" else brightness(label)))
            for label in SHOWN[m]
        ]
        for m in ("audio", "video")
    }
    windows["text"] = [bundle.encode("text", word) for word in ("zero", "one", "two")]  # type: ignore[arg-type]
    evidence = {
        m: classifier.evidence(m, np.stack([windows[m][scene[row] or 0] for scene in scenes]))
        for row, m in enumerate(MODALITIES)
    }
    present = {m: np.array([scene[row] is not None for scene in scenes]) for row, m in enumerate(MODALITIES)}
    answers = SimulatedSessions([MODALITIES], classifier).answers(evidence, present)[MODALITIES]
    np.testing.assert_array_equal([p.probabilities for p in found], answers.probabilities)
    assert [p.doubt for p in found] == [DOUBTS[doubt] for doubt in answers.doubts]


class OnThreads:
    """A session on real threads whose time is made up."""

    def __init__(self, session: Session) -> None:
        self.found: list[Prediction] = []
        self.moments: list[Event] = []
        self._session, self._stream = session, session.stream()
        self._puppets: dict[str, Puppet] = {}

    def plug(self, modality: str) -> None:
        if modality in self._puppets:
            del self._puppets[modality]
            self._session.detach(modality)
        else:
            self._puppets[modality] = Puppet(modality)
            self._puppets[modality].played = True  # its reads take real time, and are not awaited
            self._session.attach(self._puppets[modality])
        self._await(Event)

    def show(self, modality: str, label: int, now: float) -> None:
        if modality in self._puppets:
            for sample in shown(modality, label, now):
                self._puppets[modality].acts.put(sample)
            self._await(Prediction)

    def _await(self, kind: type[Prediction | Event]) -> None:
        for item in self._stream:
            if isinstance(item, Event) and item.label:
                self.moments.append(item)
                continue
            self.found += [item] if isinstance(item, Prediction) else []
            if isinstance(item, kind):
                return


@SLOW
@given(steps=STEPS)
def test_threads_change_no_answer(bundle: Bundle, steps: list[tuple[str, int | None, float]]) -> None:
    policy = Policy(align=0.0)
    clock, virtual = VirtualClock(100.0), VirtualSession(bundle, policy)
    found = list[Prediction | Event]()
    with Session(bundle, policy=policy, health=None, clock=clock) as session:
        live = OnThreads(session)
        for modality, label, wait in [*((m, None, 0.5) for m in MODALITIES), *steps]:
            clock.advance(wait)
            now = clock.now()
            found += virtual.advance(now)
            if label is not None:
                live.show(modality, label, now)
                for sample in shown(modality, label, now) if modality in virtual.attached else ():
                    virtual.give(sample, now)
            else:
                live.plug(modality)
                if modality in virtual.attached:
                    virtual.unplug(modality, now)
                else:
                    virtual.plug(modality, modality, now)
            found += virtual.advance(now)
    assert contents(live.found) == contents([item for item in found if isinstance(item, Prediction)])
    moments = [item for item in found if isinstance(item, Event) and item.label]
    assert live.moments == moments[: len(live.moments)]
    assert len(moments) - len(live.moments) <= 2, "those of the last answer"
