"""The judge: one definition of an answer, for a session, an audit and every page."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime import subsets
from sensemble_runtime.auditing.policy import PlainAnswers, policy_answers, together
from sensemble_runtime.bundle.head import Familiarity, Head
from sensemble_runtime.bundle.judge import DOUBTS, Judge
from sensemble_runtime.bundle.manifest import Calibration, SubsetCalibration
from sensemble_runtime.errors import BundleError
from sensemble_runtime.pooling import pool_subsets

MODALITIES = ("audio", "text", "video")
LABELS = ("one", "two", "three", "four")
NAMES = [subsets.name(subset) for subset in subsets.subsets(MODALITIES)]


def judge_of(
    thresholds: dict[str, float], *, floor: float = 0.0, heat: float = 1.0, familiar: float | None = None
) -> Judge:
    """Return a judge of embeddings that are logits; the first coordinate scores how familiar they are."""
    fitted = {name: SubsetCalibration(heat, 0.0, share, 100, 50) for name, share in thresholds.items()}
    known = {} if familiar is None else dict.fromkeys(MODALITIES, familiar)
    manifest = SimpleNamespace(
        labels=LABELS,
        modalities=dict.fromkeys(MODALITIES),
        calibration=Calibration(0.1, floor, fitted, known),
    )
    rows = np.zeros((3, 5), np.float32)
    rows[:, 0] = 1
    scores = None if familiar is None else Familiarity(rows, np.zeros(3, np.float32))
    head = Head(np.eye(5, dtype=np.float32)[1:], np.zeros(4, np.float32), "multi-class", scores)
    return Judge(manifest, head)  # type: ignore[arg-type]


def window(label: int, clue: float, known: float = 1.0) -> np.ndarray:
    logits = np.zeros(5, np.float32)
    logits[0], logits[1 + label] = known, clue
    return logits


ALL = dict.fromkeys(NAMES, 0.2)


def test_a_label_needs_a_single_candidate() -> None:
    sure, _ = judge_of(ALL).answer({"audio": window(0, 5)})
    assert (sure.label, sure.doubt, sure.candidates) == ("one", None, ("one",))
    close = window(0, 2)
    close[2] = 1.5
    unsure, _ = judge_of(ALL).answer({"audio": close})
    assert (unsure.label, unsure.best, unsure.doubt) == (None, "one", "several")
    assert unsure.candidates == ("one", "two")


def test_a_label_needs_a_confidence_above_the_floor() -> None:
    """The threshold of a set that is right in nine of ten cases is nearly 1: its top class stands alone."""
    judge = judge_of(dict.fromkeys(NAMES, 0.9999), floor=0.5)
    noise, _ = judge.answer({"video": window(2, 0.6)})
    assert noise.confidence == pytest.approx(0.378, abs=0.001)
    assert (noise.candidates, noise.label, noise.doubt) == (("three",), None, "weak")
    clear, _ = judge.answer({"video": window(2, 3)})
    assert clear.label == "three"
    assert judge_of(ALL, floor=1.0).answer({"video": window(2, 3)})[0].doubt == "weak"


def test_a_label_needs_sensors_that_do_not_exclude_each_other() -> None:
    said, alone = judge_of(ALL).answer({"audio": window(0, 9), "video": window(1, 5)})
    assert [one.label for one in alone.values()] == ["one", "two"]
    assert (said.label, said.best, said.doubt) == (None, "one", "contradiction")
    agreed, _ = judge_of(ALL).answer({"audio": window(0, 9), "video": window(0, 5)})
    assert agreed.label == "one"
    vague, _ = judge_of(ALL).answer({"audio": window(0, 9), "video": window(1, 0.1)})
    assert vague.label == "one", "who leaves all open contradicts nobody"


def test_a_label_needs_a_threshold() -> None:
    said, _ = judge_of({}).answer({"audio": window(0, 9)})
    assert (said.label, said.best, said.doubt, said.candidates) == (None, "one", "uncalibrated", LABELS)


def test_no_evidence_is_a_confidence_of_one_over_the_classes() -> None:
    said, alone = judge_of(ALL).answer({"audio": window(0, 9), "video": window(0, 9)}, ("audio", "video"))
    for one in (said, *alone.values()):
        assert (one.label, one.best, one.doubt, one.confidence) == (None, None, "unfamiliar", 0.25)
        assert one.candidates == LABELS


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_another_floor_is_refused(floor: float) -> None:
    with pytest.raises(BundleError, match="from 0 to 1"):
        judge_of(ALL, floor=floor)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.sampled_from([0.3, 1.0, 3.0]),
    st.dictionaries(st.sampled_from(NAMES), st.floats(0.01, 1)),
)
def test_an_audit_and_a_session_give_the_same_answers(
    seed: int, floor: float, heat: float, thresholds: dict[str, float]
) -> None:
    random = np.random.default_rng(seed)
    judge = judge_of(thresholds, floor=floor, heat=heat, familiar=-0.5)
    embeddings = 2 * random.normal(size=(3, 20, 5)).astype(np.float32)
    there = random.uniform(size=(3, 20)) < 0.8
    familiar = [judge.are_familiar(m, rows) for m, rows in zip(MODALITIES, embeddings, strict=True)]
    usable = {m: there[row] & familiar[row] for row, m in enumerate(MODALITIES)}
    logits = pool_subsets(embeddings) @ np.eye(5, dtype=np.float32)[:, 1:]
    plain = PlainAnswers(judge, logits, MODALITIES)
    given = policy_answers(judge, plain, together(plain, usable))
    for n in range(1, 4):
        for subset in combinations(MODALITIES, n):
            for i in range(20):
                live = {
                    m: embeddings[row, i] for row, m in enumerate(MODALITIES) if m in subset and usable[m][i]
                }
                said = judge.answer(live)[0] if live else judge.no_evidence
                found = given[subset]
                np.testing.assert_allclose(found.probabilities[i], said.probabilities, atol=1e-6)
                assert DOUBTS[found.doubts[i]] == said.doubt
                assert found.least[i] == pytest.approx(said.least, abs=1e-6)
