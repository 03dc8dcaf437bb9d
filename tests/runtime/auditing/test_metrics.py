import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sensemble_runtime.auditing.metrics import ScoreError, Task, score, score_subsets
from sklearn.metrics import accuracy_score, average_precision_score

shapes = nps.array_shapes(min_dims=2, max_dims=2, max_side=12)
# Few distinct values, so that ties are common: they are where average precisions differ.
coarse = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])


@given(st.data(), shapes)
def test_mean_average_precision_is_that_of_sklearn(data: st.DataObject, shape: tuple[int, int]) -> None:
    probabilities = data.draw(nps.arrays(np.float32, shape, elements=coarse))
    labels = data.draw(nps.arrays(np.bool_, shape))
    if not labels.any():
        labels[0, 0] = True
    found = score(probabilities, labels, "multi-label")
    occurring = labels.any(axis=0)
    assert found == pytest.approx(
        average_precision_score(labels[:, occurring], probabilities[:, occurring], average="macro")
    )


@given(st.data(), shapes)
def test_accuracy_is_that_of_sklearn(data: st.DataObject, shape: tuple[int, int]) -> None:
    probabilities = data.draw(nps.arrays(np.float32, shape, elements=coarse))
    labels = data.draw(nps.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
    expected = accuracy_score(labels, probabilities.argmax(axis=1))
    assert score(probabilities, labels, "multi-class") == pytest.approx(expected)


def test_a_subset_is_scored_on_the_examples_that_have_all_of_it() -> None:
    has = {"video": [True, True, False], "audio": [True, False, True], "text": [False, False, False]}
    present = {modality: np.array(rows) for modality, rows in has.items()}
    predictions = np.zeros((7, 3, 2), np.float32)
    predictions[..., 0] = 0.5  # everybody says 0,
    predictions[2, 1] = 0, 1  # but video alone of the second
    found = score_subsets(predictions, present, np.zeros(3, int), "multi-class")
    assert found == {"audio": 1.0, "video": 0.5, "audio+video": 1.0}


HALF = np.full((2, 3), 0.5, np.float32)


@pytest.mark.parametrize(
    ("probabilities", "labels", "task", "says"),
    [
        (HALF[0], np.zeros(2, int), "multi-class", r"\(3,\)"),
        (HALF[:0], np.zeros(0, int), "multi-class", r"\(0, 3\)"),
        (HALF * np.nan, np.zeros(2, int), "multi-class", "NaN"),
        (HALF, np.zeros(3, int), "multi-class", r"not integers \(2,\)"),
        (HALF, np.zeros(2), "multi-class", "float64"),
        (HALF, np.array([0, 3]), "multi-class", r"\[0, 3\], not in \[0, 2\]"),
        (HALF, np.array([-1, 0]), "multi-class", r"\[-1, 0\]"),
        (HALF, np.array([0, 1]), "multi-label", r"not zeros and ones \(2, 3\)"),
        (HALF, np.full((2, 3), 2), "multi-label", "not zeros and ones"),
        (HALF, np.zeros((2, 3), bool), "multi-label", "no positive"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    probabilities: np.ndarray, labels: np.ndarray, task: Task, says: str
) -> None:
    with pytest.raises(ScoreError, match=says):
        score(probabilities, labels, task)
