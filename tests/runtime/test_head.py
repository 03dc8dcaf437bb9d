from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save
from scipy.special import expit, softmax
from sensemble_runtime.errors import BundleCorruptError
from sensemble_runtime.head import Head, load_head, save_head
from sensemble_runtime.manifest import Task

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


def test_leading_dimensions_are_kept() -> None:
    head = Head(np.ones((3, 2), np.float32), np.zeros(3, np.float32), "multi-class")
    assert head.probabilities(np.zeros(2, np.float32)).shape == (3,)
    assert head.probabilities(np.zeros((7, 4, 2), np.float32)).shape == (7, 4, 3)


def test_a_saved_head_reads_back(tmp_path: Path) -> None:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3).T  # not contiguous
    save_head(Head(weight, np.ones(3, np.float32), "multi-label"), tmp_path / "head.safetensors")
    head = load_head(tmp_path / "head.safetensors", "multi-label")
    np.testing.assert_array_equal(head.weight, weight)
    np.testing.assert_array_equal(head.bias, np.ones(3))
    assert head.task == "multi-label"


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight": np.zeros((3, 2), np.float32)},
        {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(2, np.float32)},
        {"weight": np.zeros((3, 2), np.float64), "bias": np.zeros(3, np.float32)},
        {"weight": np.zeros((3, 2, 1), np.float32), "bias": np.zeros(3, np.float32)},
        {"weight": np.zeros((3, 2), np.float32), "bias": np.zeros(3, np.float32), "more": np.zeros(1)},
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "head.safetensors"
    path.write_bytes(save(tensors))
    with pytest.raises(BundleCorruptError, match=r"head.safetensors: expected weight float32 \[C, d\]"):
        load_head(path, "multi-class")


@given(st.binary(max_size=64))
def test_other_files_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("head") / "head.safetensors"
    path.write_bytes(data)
    with pytest.raises(BundleCorruptError, match=r"head\.safetensors"):
        load_head(path, "multi-class")
