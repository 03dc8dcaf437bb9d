"""A prediction names its label, or says between which it is unsure."""

import numpy as np
import pytest
from sensemble_runtime import Opinion, Prediction

LABELS = ("hum", "clap", "bark")


def prediction(probabilities: list[float], least: float) -> Prediction:
    array = np.array(probabilities, np.float32)
    return Prediction(0.0, ("audio",), {}, array, array, {}, {}, labels=LABELS, least=least)


@pytest.mark.parametrize(
    ("least", "candidates"),
    [(0.5, ("clap",)), (0.25, ("clap", "hum")), (0.0, ("clap", "hum", "bark")), (0.8, ())],
)
def test_a_prediction_is_sure_of_a_single_candidate(least: float, candidates: tuple[str, ...]) -> None:
    found = prediction([0.25, 0.625, 0.125], least)
    assert found.candidates == candidates
    assert found.sure == (len(candidates) == 1)
    assert found.label == ("clap" if found.sure else None)
    assert (found.best, found.confidence) == ("clap", 0.625)
    assert found.copy().label == found.label


def test_without_evidence_nothing_is_sure_even_of_one_class() -> None:
    one = Opinion(np.ones(1, np.float32), 0.0, ("hum",))
    assert (one.candidates, one.sure, one.label) == (("hum",), False, None)
