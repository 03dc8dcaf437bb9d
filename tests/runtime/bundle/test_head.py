from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save
from scipy.special import expit, softmax
from sensemble_runtime.bundle.head import Familiarity, Head, doubted, load_head, save_head
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.bundle.validate import problems
from sensemble_runtime.errors import BundleCorruptError
from sensemble_runtime.executors.executor import LARGEST

from tests.runtime.manifests import MANIFEST

GOOD = {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(3, np.float32)}
SCORED = GOOD | {"familiar_weight": np.zeros((1, 2), np.float32), "familiar_bias": np.zeros(1, np.float32)}
floats = st.floats(-1e4, 1e4, width=32)


@given(hnp.arrays(np.float32, (3, 4), elements=floats), st.sampled_from(["multi-class", "multi-label"]))
def test_probabilities_are_those_of_scipy(pooled: np.ndarray, task: Task) -> None:
    generator = np.random.default_rng(0)
    head = Head(
        generator.normal(size=(5, 4)).astype(np.float32), generator.normal(size=5).astype(np.float32), task
    )
    logits = pooled @ head.weight.T + head.bias
    expected = softmax(logits, axis=-1) if task == "multi-class" else expit(logits)
    found = head.probabilities(pooled)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@given(
    hnp.arrays(np.float32, (4, 3), elements=st.floats(0, 1, width=32)),
    st.floats(-1e4, 1e4),
    st.floats(0, 1e4),
)
def test_a_less_familiar_window_says_less_and_never_another_class(
    opinions: np.ndarray, score: float, more: float
) -> None:
    less, surer = (doubted(opinions, np.full(4, x, np.float32), "multi-class") for x in (score, score + more))
    assert np.all(np.diff(np.take_along_axis(less, opinions.argsort(axis=1), axis=1)) >= -1e-6)
    assert np.all(np.abs(less - 1 / 3) <= np.abs(surer - 1 / 3) + 1e-6)


@pytest.mark.parametrize(("score", "kept"), [(1e4, 1), (-np.log(29), 0.5), (-1e4, 0.01)])
def test_as_much_of_an_opinion_is_kept_as_its_window_shows_a_class(score: float, kept: float) -> None:
    opinion = np.array([0.9, 0.1, 0.0], np.float32)
    for task, nothing in (("multi-class", 1 / 3), ("multi-label", 0.5)):
        found = doubted(opinion, np.float32(score), task)
        np.testing.assert_allclose(found, kept * opinion + (1 - kept) * nothing, atol=1e-6)


def test_a_saved_head_reads_back_with_its_scores_of_familiarity(tmp_path: Path) -> None:
    path, generator = tmp_path / "head.safetensors", np.random.default_rng(0)
    weight = generator.normal(size=(2, 3)).astype(np.float32).T  # not contiguous
    shapes = (2, 2), 2, (2, 3, 4, 2), 2
    scores = Familiarity(*(generator.normal(size=shape).astype(np.float32) for shape in shapes))
    save_head(Head(weight, np.ones(3, np.float32), "multi-label", scores), path)
    head = load_head(path.read_bytes(), "multi-label", path)
    np.testing.assert_array_equal(head.weight, weight)
    np.testing.assert_array_equal(head.bias, np.ones(3))
    assert head.task == "multi-label"
    found = head.familiarity
    assert found is not None
    one = np.array([0.6, 0.8], np.float32)
    assert scores.means is not None and scores.offset is not None  # noqa: PT018
    two = scores.weight[1] @ one + scores.bias[1], (scores.means[1] @ one).max() + scores.offset[1]
    assert found.scores(1, one) == pytest.approx(min(two))
    save_head(
        Head(weight, np.ones(3, np.float32), "multi-class", replace(scores, means=None, offset=None)), path
    )
    found = load_head(path.read_bytes(), "multi-class", path).familiarity
    assert found is not None
    assert found.scores(1, one) == pytest.approx(two[0])


def test_a_manifest_allows_a_head_with_eight_means_of_each_class(tmp_path: Path) -> None:
    n, count, size = len(MANIFEST.modalities), len(MANIFEST.labels), 4096
    scores = Familiarity(*(np.zeros(shape, np.float32) for shape in ((n, size), n, (n, count, 8, size), n)))
    path, (weight, bias) = tmp_path / "head.safetensors", np.zeros((2, count, size), np.float32)
    save_head(Head(weight, bias[:, 0], "multi-class", scores), path)
    file = replace(MANIFEST.head, bytes=path.stat().st_size)
    assert not list(problems(replace(MANIFEST, embedding=size, head=file)))


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight": np.zeros((3, 2), np.float32)},
        {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(2, np.float32)},
        {"weight": np.zeros((3, 2), np.float64), "bias": np.zeros(3, np.float32)},
        {"weight": np.zeros((3, 2, 1), np.float32), "bias": np.zeros(3, np.float32)},
        {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(3, np.float32), "more": np.zeros(1)},
        {**GOOD, "familiar_weight": np.zeros((1, 2), np.float32)},
        {**GOOD, "familiar_weight": np.zeros((1, 3), np.float32), "familiar_bias": np.zeros(1, np.float32)},
        {**GOOD, "familiar_weight": np.zeros((1, 2), np.float32), "familiar_bias": np.zeros(2, np.float32)},
        {**SCORED, "familiar_means": np.zeros((1, 3, 4, 2), np.float32)},
        {
            **SCORED,
            "familiar_means": np.zeros((1, 2, 4, 2), np.float32),
            "familiar_offset": np.zeros(1, np.float32),
        },
        {
            **SCORED,
            "familiar_means": np.zeros((1, 3, 0, 2), np.float32),
            "familiar_offset": np.zeros(1, np.float32),
        },
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, np.ndarray]) -> None:
    with pytest.raises(BundleCorruptError, match=r"head\.safetensors: expected weight "):
        load_head(save(tensors), "multi-class", Path("head.safetensors"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_a_head_that_would_make_a_prediction_nan_is_refused(name: str, bad: float) -> None:
    tensors = {"weight": np.ones((3, 2), np.float32), "bias": np.ones(3, np.float32)}
    tensors[name].flat[1] = bad
    with pytest.raises(BundleCorruptError, match=rf"head\.safetensors: {name} holds NaN"):
        load_head(save(tensors), "multi-class", Path("head.safetensors"))


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_the_largest_numbers_there_may_be_still_make_probabilities(task: Task) -> None:
    weight = np.full((3, 65_536), LARGEST, np.float32)
    weight[1] *= -1
    head = load_head(
        save({"weight": weight, "bias": np.full(3, LARGEST, np.float32)}), task, Path("head.safetensors")
    )
    assert np.isfinite(head.probabilities(np.full(65_536, LARGEST, np.float32))).all()


@given(st.binary(max_size=64))
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BundleCorruptError, match=r"head\.safetensors"):
        load_head(data, "multi-class", Path("head.safetensors"))
