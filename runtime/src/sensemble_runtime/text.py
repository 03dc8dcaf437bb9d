"""Captions to token ids: the one function that training and the runtime both use."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the library is loaded only by a process that tokenizes
    from tokenizers import Tokenizer

PAD = 0


def tokenize(tokenizer: "Tokenizer", caption: str, length: int) -> NDArray[np.int64]:
    """Return the ids of `caption` as int64 [1, length], cut at `length` and padded with `PAD` (0)."""
    ids = tokenizer.encode(caption).ids[:length]
    return np.array([ids + [PAD] * (length - len(ids))], dtype=np.int64)
