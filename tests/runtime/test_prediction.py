"""A prediction names its label, or says between which it is unsure."""

import numpy as np
import pytest
from sensemble_runtime import Opinion, Prediction
from sensemble_runtime.prediction import Doubt

LABELS = ("hum", "clap", "bark")


def prediction(probabilities: list[float], threshold: float, doubt: Doubt | None) -> Prediction:
    array = np.array(probabilities, np.float32)
    more = {"labels": LABELS, "threshold": threshold, "doubt": doubt}
    return Prediction(0.0, ("audio",), {}, array, array, {}, {}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("threshold", "doubt", "candidates"),
    [
        (0.5, None, ("clap",)),
        (0.625, None, ("clap",)),
        (0.7, "several", ("clap", "hum")),
        (0.8, "disagreement", ("clap", "hum")),
        (0.9, "several", ("clap", "hum", "bark")),
        (2.0, "several", ("clap", "hum", "bark")),
    ],
)
def test_a_prediction_has_a_label_where_there_is_no_doubt(
    threshold: float, doubt: Doubt | None, candidates: tuple[str, ...]
) -> None:
    found = prediction([0.25, 0.625, 0.125], threshold, doubt)
    assert found.candidates == candidates
    assert found.sure == (doubt is None)
    assert found.label == ("clap" if found.sure else None)
    assert (found.best, found.confidence) == ("clap", 0.625)
    copied = found.copy()
    assert copied.label == found.label
    assert copied.ages is not found.ages


def test_without_evidence_no_class_is_best() -> None:
    one = Opinion(np.ones(1, np.float32), 0.9, ("hum",), "unfamiliar")
    assert (one.candidates, one.sure, one.label, one.best) == (("hum",), False, None, None)


def test_it_prints_in_a_line() -> None:
    assert str(prediction([0.25, 0.625, 0.125], 0.6, None)) == "audio: clap 62 %"
    assert repr(prediction([0.25, 0.625, 0.125], 0.8, "several")) == "audio: unsure, clap 62 % or hum 25 %"
    near = prediction([0.001, 0.999, 0.0], 0.9999, "several")
    assert (str(near), near.percent) == ("audio: unsure, clap 99 % or hum 0 %", 99), "never 100 % and unsure"
    assert str(prediction([0.0, 1.0, 0.0], 0.9, None)) == "audio: clap 100 %"
    assert str(prediction([1 / 3] * 3, 0.8, "unfamiliar")) == "audio: unsure, nothing it has learned"
    guess = prediction([0.05, 0.9, 0.05], 0.8, "unfamiliar")
    assert str(guess) == "audio: unsure, nothing it has learned, most like clap 90 %"
    assert (guess.best, guess.label, guess.candidates) == ("clap", None, ("clap",))
