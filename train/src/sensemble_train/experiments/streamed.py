"""Examples on disk as a source: decoded by worker processes while the model computes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import Sampling, clip
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sensemble_train.data.clips import LOG, Clips, as_input, bad, joined, targets
from sensemble_train.models.model import Description

_BAD_IN_A_ROW = 100  # unreadable examples in a row end the run: these are no longer a few bad files


@dataclass(frozen=True, slots=True)
class Streamed:
    """A split that does not fit in memory: raw sensor tensors, which `changes` make features.

    With `skip_bad`, an example that cannot be decoded is logged and the next good one takes its place; in
    evaluation, its row has nothing present.
    """

    examples: Sequence[Example]
    description: Description
    tokenizer: Tokenizer | None
    sampling: Sampling  # how a window is cut from an example
    seed: int  # decides the windows and crops of training, with the step and the row
    skip_bad: bool
    only: tuple[str, ...] | None = None  # the modalities to decode; the windows do not depend on it
    changes: tuple[Callable[[Clips], Clips], ...] = ()  # of each batch when it is loaded, in order

    @property
    def targets(self) -> Tensor | None:
        """The labels, as in `Clips`."""
        return targets(self.examples, self.description.labels, self.description.task)

    def __len__(self) -> int:
        return len(self.examples)

    def having(self, modalities: Sequence[str], *, some: bool = False) -> "Streamed":
        """See `ClipSource`."""
        enough = any if some else all
        kept = [e for e in self.examples if enough(m in e.modalities for m in modalities)]
        return replace(self, examples=kept, only=tuple(modalities))

    def take(self, rows: Tensor) -> "Streamed":
        """See `ClipSource`."""
        return replace(self, examples=[self.examples[row] for row in rows.tolist()])

    def load(
        self, order: Iterable[Sequence[int]], device: torch.device, workers: int, step: int | None = None
    ) -> Iterator[Clips]:
        """See `ClipSource`; BadDataError names an example that cannot be decoded or has an unknown label."""
        known = set(self.description.labels)
        for example in self.examples:
            for label in example.labels:
                if label not in known:
                    raise bad(example, BadDataError(f"labels: {label!r} is none of the {len(known)} classes"))
        # A worker gets its examples by the queue: reading them from the list, it would copy the list's pages.
        batches = ([(row, self.examples[row]) for row in rows] for rows in order)
        loader = DataLoader(
            _Batches(replace(self, changes=())),
            batch_size=None,  # a key is a batch
            sampler=((batch, None if step is None else step + n) for n, batch in enumerate(batches)),
            num_workers=workers,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # the loader's draws must not advance the global generator
        )
        for clips in _begun(loader):
            if isinstance(clips, BadDataError):
                raise clips
            loaded = clips.to(device)
            for change in self.changes:
                loaded = change(loaded)
            yield loaded

    def mapped(self, change: Callable[[Clips], Clips]) -> "Streamed":
        """See `ClipSource`."""
        return replace(self, changes=(*self.changes, change))

    def row(self, index: int, step: int | None = None, example: Example | None = None) -> Clips:
        """Decode the middle of an example or, with a step, a window and a crop drawn for that step."""
        for skipped in range(_BAD_IN_A_ROW):
            example = example or self.examples[index]
            draw = None if step is None else np.random.default_rng([self.seed, step, index])
            try:
                return replace(self._clips(example, self._decoded(example, draw)), skipped=skipped)
            except BadDataError as error:
                reason = bad(example, error)
                if not self.skip_bad:
                    raise reason from error
                LOG.warning("skipped %s", reason)
                if step is None:
                    return replace(self._clips(example, {}), skipped=1)
                index, example = (index + 1) % len(self), None
        raise BadDataError(f"{reason}; nor could the {_BAD_IN_A_ROW - 1} examples before it be decoded")

    @property
    def _modalities(self) -> tuple[str, ...]:
        return tuple(self.description.specs) if self.only is None else self.only

    def _decoded(self, example: Example, draw: np.random.Generator | None) -> dict[str, Tensor]:
        specs = self.description.specs
        media = clip(example, specs, self.sampling, draw, only=self._modalities)
        inputs = {m: torch.from_numpy(window) for m, window in media.items()}
        for m in set(self._modalities) & set(example.modalities):
            if (kind := kind_of(specs[m])).tokenized:
                inputs[m] = as_input(kind.window(example, specs[m]), specs[m], self.tokenizer)
        return inputs

    def _clips(self, example: Example, inputs: dict[str, Tensor]) -> Clips:
        present = {m: torch.tensor([m in inputs]) for m in self._modalities}
        specs = {m: self.description.specs[m] for m in self._modalities}
        zeros = {m: torch.from_numpy(np.zeros(s.shape, s.dtype)) for m, s in specs.items() if m not in inputs}
        filled = {m: (inputs | zeros)[m] for m in specs}
        return Clips(filled, present, targets([example], self.description.labels, self.description.task))


class _Batches(Dataset[Clips | BadDataError]):
    """Whole batches of examples, or the error of one: if a worker raised, its text would be a traceback."""

    def __init__(self, source: Streamed) -> None:
        self._source = source

    def __getitem__(self, key: tuple[Sequence[tuple[int, Example]], int | None]) -> Clips | BadDataError:
        batch, step = key
        try:
            return joined([self._source.row(row, step, example) for row, example in batch])
        except BadDataError as error:
            return error


def _begun(loader: DataLoader[Clips | BadDataError]) -> Iterator[Clips | BadDataError]:
    """Start the workers, in each of which OpenCV has one thread and not one per core.

    The limit is set before the fork: a forked worker lacks the threads of OpenCV, and would wait for them.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return iter(loader)
    finally:
        cv2.setNumThreads(threads)
