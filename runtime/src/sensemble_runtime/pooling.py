"""Pooling: the mean of the embeddings that are there (the paper's Eq. 7 and 10)."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets

Floats = NDArray[np.float32]


def pool(embeddings: Mapping[str, Floats]) -> Floats:
    """Return the pooled representation (Eq. 7), the mean over modalities of float32 [..., d]."""
    if not embeddings:
        raise ValueError("nothing to pool: the live set is empty")
    # Sorted, so that the sum rounds the same way in whichever order the sensors attached. np.mean would take
    # six times as long for the same.
    pooled: Floats = np.add.reduce([embeddings[m] for m in sorted(embeddings)]) / np.float32(len(embeddings))
    return pooled


def pool_subsets(stacked: Floats) -> Floats:
    """Return the pooled representations of the measured subsets, float32 [S, ..., d], in one matrix product.

    Subsets are in the order of `subsets.measured`. `stacked` is float32 [n, ..., d], modalities in
    alphabetical order. One that an example lacks must hold finite numbers; the subsets with it then mean
    nothing for it.
    """
    members = subsets.places(len(stacked))
    weights = np.zeros((len(members), len(stacked)), dtype=np.float32)
    for row, subset in zip(weights, members, strict=True):
        row[list(subset)] = 1 / len(subset)
    return np.tensordot(weights, stacked, axes=1)
