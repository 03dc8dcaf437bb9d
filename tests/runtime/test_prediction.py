"""A prediction names its label, or says between which it is unsure."""

import numpy as np
import pytest
from sensemble_runtime import Opinion, Prediction
from sensemble_runtime.prediction import Doubt

LABELS = ("hum", "clap", "bark")


def prediction(probabilities: list[float], least: float, doubt: Doubt | None) -> Prediction:
    array = np.array(probabilities, np.float32)
    return Prediction(0.0, ("audio",), {}, array, array, {}, {}, labels=LABELS, least=least, doubt=doubt)


@pytest.mark.parametrize(
    ("least", "candidates"),
    [(0.5, ("clap",)), (0.25, ("clap", "hum")), (0.0, ("clap", "hum", "bark")), (0.8, ())],
)
@pytest.mark.parametrize("doubt", [None, "several", "weak"])
def test_a_prediction_has_a_label_where_there_is_no_doubt(
    least: float, candidates: tuple[str, ...], doubt: Doubt | None
) -> None:
    found = prediction([0.25, 0.625, 0.125], least, doubt)
    assert found.candidates == candidates
    assert found.sure == (doubt is None)
    assert found.label == ("clap" if found.sure else None)
    assert (found.best, found.confidence) == ("clap", 0.625)
    assert found.copy().label == found.label


def test_without_evidence_no_class_is_best() -> None:
    one = Opinion(np.ones(1, np.float32), 0.0, ("hum",), "unfamiliar")
    assert (one.candidates, one.sure, one.label, one.best) == (("hum",), False, None, None)
