import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.errors import SubsetError
from sensemble_runtime.pooling import Floats, pool, pool_subsets
from sensemble_runtime.subsets import name, parse, subsets
from sensemble_sensors.spec import RESERVED

words = st.text("abcdefghij", min_size=1, max_size=5).filter(lambda word: word not in RESERVED)


def test_three_modalities_give_seven_subsets_by_size() -> None:
    names = [name(subset) for subset in subsets(["video", "text", "audio"])]
    assert names == ["audio", "text", "video", "audio+text", "audio+video", "text+video", "audio+text+video"]


@given(st.sets(words, min_size=1, max_size=6))
def test_subsets_are_all_distinct_and_not_empty(modalities: set[str]) -> None:
    found = subsets(modalities)
    assert len(set(found)) == len(found) == 2 ** len(modalities) - 1
    assert all(subset and set(subset) <= modalities for subset in found)


@given(st.lists(words, min_size=1, unique=True))
def test_a_written_set_reads_back_in_any_order(modalities: list[str]) -> None:
    assert parse(name(modalities)) == parse("+".join(modalities)) == tuple(sorted(modalities))


@pytest.mark.parametrize("text", ["", "+", "audio+", "audio+audio", "Audio", "audio video", "audio,video"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SubsetError, match="not a set of modalities"):
        parse(text)


def embeddings(modalities: set[str], shape: tuple[int, ...], seed: int) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {m: rng.standard_normal(shape, dtype=np.float32) for m in sorted(modalities)}


@given(
    st.sets(st.sampled_from(["audio", "depth", "imu", "text", "video"]), min_size=1),
    st.sampled_from([(4,), (3, 4), (2, 3, 4)]),
    st.integers(0, 99),
)
def test_one_matrix_product_pools_every_subset_as_eq_7_does(
    modalities: set[str], shape: tuple[int, ...], seed: int
) -> None:
    parts = embeddings(modalities, shape, seed)
    pooled = pool_subsets(np.stack(list(parts.values())))
    assert pooled.dtype == np.float32
    assert pooled.shape == (2 ** len(parts) - 1, *shape)
    for row, subset in zip(pooled, subsets(parts), strict=True):
        chosen = {m: parts[m] for m in subset}
        np.testing.assert_allclose(row, sum(chosen.values()) / len(chosen), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(pool(chosen), row, rtol=1e-5, atol=1e-6)


def test_nothing_to_pool_and_unequal_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to pool"):
        pool({})
    with pytest.raises(ValueError, match="shape"):
        pool({"audio": np.zeros(3, np.float32), "video": np.zeros(4, np.float32)})
