"""An audit in a table, in sentences, as CSV and judged by a gate, from measures made by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.console.estimates import change, ends, in_words, percent_within
from sensemble_apps.tables import audit_table, gate_verdict
from sensemble_apps.tables.audits import audits
from sensemble_runtime.auditing import gate
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.auditing.reliability import Answered, Outcomes
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.record.writer import fingerprint
from sensemble_runtime.scores import Estimate, SubsetScore

from tests.apps.shipped import manifest, write_audit, write_run


def score(right: int, n: int) -> SubsetScore:
    return SubsetScore(right / n, n, *wilson(right, n))


SCORES = {"audio": score(120, 400), "video": score(13, 13), "audio+video": score(320, 400)}
RESULT = AuditResult(
    SCORES,
    Estimate(0.7, 0.65, 0.75),
    Estimate(0.3, 0.26, 0.35),
    {"audio": Estimate(-0.01, -0.04, 0.02), "video": Estimate(0.5, 0.4512, 0.551)},
    {"audio": {"video": Estimate(0.01, -0.02, 0.04)}, "video": {"audio": Estimate(-0.5, -0.551, -0.4512)}},
    chance={"audio": 0.28, "video": 0.3, "audio+video": 0.28},
    unscored=(),
    metric="accuracy",
    examples=400,
    groups=57,
    bundle="0" * 64,
    promise="not promised",
    answered=Answered([], [], np.zeros(0, int), (), {}, [], []),
    unfamiliar={},
)


@pytest.mark.parametrize(
    ("value", "low", "high", "cells"),
    [
        (0.65625, 0.6086, 0.7013, ("66", "61 to 70", "66 % (61 to 70)")),
        (1.0, 0.7719, 1.0, ("100", "77 to 100", "77 to 100 % (too few examples)")),
        (0.6543, 0.6501, 0.6598, ("65.4", "65.0 to 66.0", "65.4 % (65.0 to 66.0)")),
        (0.9963, 0.9754, 1.0, ("99.6", "98 to 100", "99.6 % (98 to 100)")),
        (0.65432, 0.654, 0.6549, ("65.43", "65.40 to 65.49", "65.43 % (65.40 to 65.49)")),
        (-0.001, -0.04, 0.02, ("0", "-4 to 2", "0 % (-4 to 2)")),
    ],
)
def test_numbers_are_rounded_as_their_interval_deserves(
    value: float, low: float, high: float, cells: tuple[str, str, str]
) -> None:
    one = Estimate(value, low, high)
    assert (percent_within(value, one), ends(one), in_words(value, one)) == cells


def test_what_a_person_wants_is_in_sentences() -> None:
    parts = (
        "microphone dies, accuracy may fall by up to 2 points or rise by up to 4 points",
        "camera dies, accuracy falls from 80 % to 30 %, by 45 to 55 points",
        "Adding camera to microphone hurts: accuracy falls from 30 % to -20 %",
        "microphone alone (audio) may be at chance: it scores 30 % (26 to 35)",
        "400 examples are of 57 independent groups",
    )
    for sentence, part in zip(audit_table.sentences(RESULT), parts, strict=True):
        assert part in sentence


def test_it_names_the_classes_without_an_example_and_a_bundle_that_never_answers() -> None:
    labels, n = ("one", "rare", "other"), np.zeros(2)
    unsure = Outcomes(n + 0.6, n == 0, n == 1, n.astype(int), np.arange(2))
    answered = Answered(
        ["a", "b"], [("one",), ()], np.arange(2), labels, {"audio": unsure}, [(), ()], ["", ""]
    )
    result = replace(RESULT, answered=answered)
    assert "No example of rare and other: the scores say nothing about that." in audit_table.cautions(result)
    _, never = audit_table.sureness(result)
    assert never == "It never answers: with microphone, every answer is unsure."


@pytest.mark.parametrize(
    ("low", "value", "high", "text"),
    [
        (0.1, 0.2, 0.29, "falls from 80 % to 60 %, by 10 to 29 points"),
        (0.1, 0.2, 0.4, "falls by 10 to 40 points: too few examples to say more"),
        (-0.09, -0.05, -0.01, "rises from 80 % to 85 %, by 1 to 9 points"),
        (-0.4, -0.05, -0.01, "rises by 1 to 40 points: too few examples to say more"),
        (
            -0.4,
            -0.05,
            0.01,
            "may fall by up to 1 points or rise by up to 40 points: too few examples to say more",
        ),
        (0.0, 0.0, 0.004, "may fall by up to 0.4 points"),
        (0.0, 0.0, 0.0, "does not change"),
    ],
)
def test_a_loss_is_said_as_far_as_it_is_known(low: float, value: float, high: float, text: str) -> None:
    assert change("accuracy", 0.8, Estimate(value, low, high)) == f"accuracy {text}"


def parsed(require: str) -> list[gate.Criterion]:
    modalities = ("audio", "video")
    return gate.parse(require, modalities, gate_verdict.modalities_by_word(modalities))


def test_a_gate_says_in_words_what_failed() -> None:
    found = parsed("microphone>=0.2,audio+video>=0.9,video>=0.9,P>=0.5,R>=0.3,drop.camera<=0.1")
    lines = dict(line.split(": ", 1) for _, line in gate_verdict.judged(found, RESULT))
    for criterion, start in {
        "microphone>=0.2": "met: with microphone (audio), accuracy is 30 % (26 to 35) of 400 examples",
        "audio+video>=0.9": "failed: with microphone and camera (audio+video), accuracy is 80 % (76 to 84)",
        "video>=0.9": "too few examples: with camera (video), accuracy is 77 to 100 % of 13 examples",
        "P>=0.5": "met: the mean over all sets of sensors is 70 % (65 to 75) of 13 or more examples",
        "R>=0.3": "failed: the worst set of sensors is microphone (audio), with 30 % (26 to 35)",
        "drop.camera<=0.1": "failed: without camera (video), accuracy falls by 50 points (45 to 55)",
    }.items():
        assert lines[criterion].startswith(start)


def test_a_gate_names_what_no_example_shows() -> None:
    lone = replace(RESULT, subsets={"audio": SCORES["audio"]}, drops={}, unscored=("video", "audio+video"))
    required = gate.parse("video>=0.5,drop.audio<=0.1,R>=0.1,wrong<=0.1", ("audio", "video"))
    video, drop, worst, wrong = (line for _, line in gate_verdict.judged(required, lone))
    assert video == "video>=0.5: too few examples: no example was answered with only camera (video)"
    assert drop.endswith(": no example was answered with and without microphone (audio)")
    assert wrong == "wrong<=0.1: too few examples: no example was answered with all sensors"
    assert worst.startswith("R>=0.1: too few examples: ")
    assert "no example has video, audio+video" in worst


def test_an_audit_holds_for_a_bundle_that_was_only_added_to(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_audit(run)
    first, found, made = fingerprint(run / "bundle"), audits(run), manifest()
    assert found.scores
    for extends, scores in (((first,), found.scores), (None, {})):
        provenance = replace(made.provenance, created="2026-11-25T12:00:00+00:00", extends=extends)
        write_manifest(replace(made, provenance=provenance), run / "bundle" / "manifest.json")
        assert audits(run).scores == scores
