import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.pooling import Floats, pool, pool_subsets
from sensemble_runtime.subsets import subsets


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
