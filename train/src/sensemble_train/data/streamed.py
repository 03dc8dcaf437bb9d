"""Examples on disk as a source: decoded by worker processes while the model computes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import torch
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.decoding import Sampling
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader

from sensemble_train.data.clip_dataset import Batches, ClipDataset, Key
from sensemble_train.data.clips import Clips, targets
from sensemble_train.data.packed_index import PackedIndex
from sensemble_train.models.model import Description


@dataclass(frozen=True, slots=True)
class Streamed:
    """A split that does not fit in memory; it loads raw sensor tensors, not features.

    Attributes:
        examples: the examples of the split.
        description: form of the tensors, classes and task.
        tokenizer: for captions.
        sampling: how a window is cut from an example.
        seed: decides the windows of training.
        skip_bad: log an example that cannot be decoded and take the next one, instead of raising.
        only: the modalities to decode; None for all that the model has. The windows do not depend on it.
    """

    examples: PackedIndex
    description: Description
    tokenizer: Tokenizer | None
    sampling: Sampling
    seed: int
    skip_bad: bool
    only: tuple[str, ...] | None = None

    @property
    def raw(self) -> bool:
        """Streamed tensors have not passed the front ends."""
        return True

    @property
    def targets(self) -> Tensor | None:
        """The labels, as in `Clips`."""
        return targets(self.examples, self.description.labels, self.description.task)

    def __len__(self) -> int:
        return len(self.examples)

    def having(self, modalities: Sequence[str], *, some: bool = False) -> "Streamed":
        """See `Source`."""
        rows = self.examples.having(modalities, some=some)
        return replace(self, examples=self.examples.take(rows), only=tuple(modalities))

    def take(self, rows: Tensor) -> "Streamed":
        """Return the examples at `rows`, int64."""
        return replace(self, examples=self.examples.take(rows.numpy()))

    def load(
        self,
        order: Iterable[Sequence[int]],
        device: torch.device,
        workers: int,
        step: int | None = None,
    ) -> Iterator[Clips]:
        """Yield a batch for each sequence of rows; see `Source`.

        Raises:
            BadDataError: an example cannot be decoded; names the file, the example and its line.
        """
        description = self.description
        dataset = ClipDataset(
            self.examples,
            description.specs,
            self.tokenizer,
            description.labels,
            description.task,
            seed=self.seed,
            sampling=self.sampling,
            skip_bad=self.skip_bad,
            only=self.only,
        )
        keys: Iterable[list[Key]] = (
            [row if step is None else (row, step + number) for row in rows]
            for number, rows in enumerate(order)
        )
        loader = DataLoader(
            Batches(dataset),
            batch_size=None,  # a key is a batch
            sampler=keys,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # the loader's draws must not advance the global generator
        )
        for clips in _begun(loader):
            if isinstance(clips, BadDataError):
                raise clips
            yield clips.to(device)


def _begun(loader: DataLoader[Clips | BadDataError]) -> Iterator[Clips | BadDataError]:
    """Start the workers, in each of which OpenCV has one thread and not one per core.

    It is told so here: a worker is forked without the threads that OpenCV has here, and would wait for ever
    for them to end.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return iter(loader)
    finally:
        cv2.setNumThreads(threads)
