"""Near windows of the examples that are trained on: half of one, two at once, half of one and of another.

Familiarity learns that they may be none of the classes. Encoders do not: half a digit is no digit, but half a
cat is a cat, and a model of cats that learned otherwise names fewer of them (`train/BENCHMARKS.md`). Other
sorts (backwards, mirrored, denied) are for the audit alone, which says how far that carries.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache

import numpy as np
import torch
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec
from sensemble_train.data.clips import as_input
from tokenizers import Tokenizer
from torch import Tensor

NEAR = 400  # windows of each modality


def near_windows(
    examples: Sequence[Example], spec: InputSpec, tokenizer: Tokenizer | None, task: str, seed: int
) -> Tensor:
    """Return raw windows [N, ...], N at most `NEAR`, made of labelled examples; none of a single class.

    Where an example may have several labels (`task`), two at once are no unknown.
    """
    kind, draw = kind_of(spec), np.random.default_rng(seed)
    sorts = [near for near in kind.near if near.learned and not (near.both and task == "multi-label")]
    some = [example for example in examples if spec.modality in example.modalities and example.labels]
    window_of = cache(lambda place: kind.window(some[place], spec))  # most are decoded twice otherwise
    made = list[Tensor]()
    for place in draw.permutation(len(some))[: NEAR if sorts else 0]:
        other = draw.integers(len(some))
        if set(some[place].labels) & set(some[other].labels):
            continue
        near = sorts[len(made) % len(sorts)]
        with suppress(BadDataError):  # decoding all examples says so, or skips it
            window, rival = window_of(place), window_of(other)
            changed = as_input(near.make(window, rival, draw), spec, tokenizer)
            if not torch.equal(changed, as_input(window, spec, tokenizer)):  # half of what is blank
                made.append(changed)
    shape = spec.shape[1:]
    return torch.cat(made) if made else torch.zeros(0, *shape, dtype=getattr(torch, spec.dtype))
