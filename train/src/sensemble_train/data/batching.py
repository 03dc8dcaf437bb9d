"""The order of batches, a function of seed and step so that a run can resume anywhere; sizes of batches."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from sensemble_train.errors import ConfigurationError


def seeded(*parts: object) -> torch.Generator:
    """Return a generator whose draws depend on `parts` alone."""
    high, low = (zlib.crc32(repr((salt, *parts)).encode()) for salt in ("high", "low"))
    return torch.Generator().manual_seed(high << 32 | low)


def at_once(windows: Tensor) -> int:
    """Return how many of the raw windows [N, ...] to embed at once: 4 films, or 16 of anything else.

    With 16 films, the system takes as long to allocate and free memory as an encoder takes to compute.
    """
    return 4 if windows.ndim == 5 else 16  # [N, T, H, W, C]


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """The batches of one rank, in a new order each epoch; an incomplete batch at its end is left out.

    Any number of ranks makes the same global batch, of `batch` examples or all. Raises ConfigurationError
    where a batch does not divide among the ranks, or a rank gets fewer than the two examples that a contrast
    needs.
    """

    examples: int
    batch: int
    seed: int
    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if self.batch % self.size:
            raise ConfigurationError(
                f"batches of {self.batch} do not divide among {self.size} ranks; change one of the two"
            )
        if self.share < 2:
            raise ConfigurationError(
                f"batches of {self.batch} from {self.examples} examples on {self.size} ranks: training takes "
                "two at least on each; add examples, widen the batch, or use fewer ranks"
            )

    @property
    def share(self) -> int:
        """Examples per step, on each rank."""
        return min(self.batch, self.examples) // self.size

    def rows(self, step: int) -> Sequence[int]:
        """Return the rows, among all examples, of this rank's share of `step`."""
        width = self.share * self.size
        epoch, place = divmod(step, self.examples // width)
        start = place * width + self.rank * self.share
        rows: list[int] = _shuffled(self.examples, self.seed, epoch)[start : start + self.share].tolist()
        return rows

    def between(self, start: int, steps: int) -> Iterator[Sequence[int]]:
        """Yield the rows of each step from `start` up to `steps`."""
        return map(self.rows, range(start, steps))


@lru_cache(2)
def _shuffled(examples: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(examples, generator=seeded(seed, epoch))
