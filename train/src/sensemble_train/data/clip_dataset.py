"""A torch dataset that decodes examples when they are asked for; data need not fit in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import PLAIN, Sampling, clip
from sensemble_sensors.spec import InputSpec
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import Dataset

from sensemble_train.data.clips import LOG, Clips, as_input, bad, targets
from sensemble_train.data.packed_index import PackedIndex

_BAD_IN_A_ROW = 100  # unreadable examples in a row end the run: these are no longer a few bad files

Key = int | tuple[int, int]
"""The index of an example (evaluation), or its index and the number of a draw, the step (training)."""


class ClipDataset(Dataset[Clips]):
    """Decodes one example at a time, as a function of the seed and the key alone.

    `dataset[index]` is the middle of the example and of its pictures; `dataset[index, step]` is a window and
    a crop drawn for that step, whichever worker decodes it.

    Args:
        examples: of one split.
        specs: the inputs of all of the model's encoders, on which an example's window depends.
        tokenizer: for captions; needed with `text` in `specs`.
        labels: the class names; without labels, an example has no targets.
        task: `multi-class` or `multi-label`.
        seed: draws the windows and crops, with the step and the index.
        sampling: how a window is cut from an example.
        skip_bad: log an example that cannot be decoded, instead of raising, and return the next good one in
            its place; in evaluation, a row in which nothing is present.
        only: the modalities to decode; None for all of `specs`.

    Raises:
        BadDataError: an example has a label that is not among `labels`.
    """

    def __init__(
        self,
        examples: PackedIndex,
        specs: Mapping[str, InputSpec],
        tokenizer: Tokenizer | None,
        labels: Sequence[str],
        task: str,
        *,
        seed: int = 0,
        sampling: Sampling = PLAIN,
        skip_bad: bool = False,
        only: Sequence[str] | None = None,
    ) -> None:
        known = set(labels)
        for label, example in examples.labels.items():
            if label not in known:
                raise bad(example, BadDataError(f"labels: {label!r} is none of the {len(known)} classes"))
        self._examples = examples
        self._specs, self._tokenizer = specs, tokenizer
        self._labels, self._task = tuple(labels), task
        self._seed, self._sampling, self._skip_bad = seed, sampling, skip_bad
        self._modalities = tuple(specs if only is None else only)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, key: Key) -> Clips:
        """Return one example as Clips of one row.

        Raises:
            BadDataError: it cannot be decoded; names the file, the example and its line.
        """
        index, step = (key, None) if isinstance(key, int) else key
        for skipped in range(_BAD_IN_A_ROW):
            example = self._examples[index]
            draw = None if step is None else np.random.default_rng([self._seed, step, index])
            try:
                media = clip(example, self._specs, self._sampling, draw, only=self._modalities)
            except BadDataError as error:
                reason = bad(example, error)
                if not self._skip_bad:
                    raise reason from error
                LOG.warning("skipped %s", reason)
                if step is None:  # evaluation keeps the row, with nothing in it
                    return replace(self._row(example, {}), skipped=1)
                index = (index + 1) % len(self)
            else:
                found = {m: torch.from_numpy(window) for m, window in media.items()}
                return replace(self._row(example, found | self._captions(example)), skipped=skipped)
        raise BadDataError(f"{reason}; nor could the {_BAD_IN_A_ROW - 1} examples before it be decoded")

    def _captions(self, example: Example) -> dict[str, Tensor]:
        """Return the token ids of the example's captions, modality -> int64 [1, L]."""
        captions = {}
        for m in set(self._modalities) & set(example.modalities):
            kind, spec = kind_of(m), self._specs[m]
            if kind.tokenized:
                captions[m] = as_input(kind.window(example, spec), spec, self._tokenizer)
        return captions

    def _row(self, example: Example, found: Mapping[str, Tensor]) -> Clips:
        inputs = dict(found)
        present = {m: torch.tensor([m in inputs]) for m in self._modalities}
        for m in self._modalities:
            if m not in inputs:
                inputs[m] = torch.from_numpy(np.zeros(self._specs[m].shape, self._specs[m].dtype))
        return Clips(
            {m: inputs[m] for m in self._modalities}, present, targets([example], self._labels, self._task)
        )


class Batches(Dataset[Clips | BadDataError]):
    """Whole batches of a `ClipDataset`, or the error of one of their examples.

    It returns the error, because a worker process that raises would make its traceback the error's text.
    """

    def __init__(self, clips: ClipDataset) -> None:
        self._clips = clips

    def __getitem__(self, keys: Sequence[Key]) -> Clips | BadDataError:
        """Return the batch of the examples at `keys`, or the first error."""
        try:
            return collate([self._clips[key] for key in keys])
        except BadDataError as error:
            return error


def collate(rows: Sequence[Clips]) -> Clips:
    """Join rows of a `ClipDataset` into one batch; `targets` is None if any row has none."""
    first = rows[0]
    labelled = [row.targets for row in rows if row.targets is not None]
    return Clips(
        {m: torch.cat([row.inputs[m] for row in rows]) for m in first.inputs},
        {m: torch.cat([row.present[m] for row in rows]) for m in first.present},
        torch.cat(labelled) if len(labelled) == len(rows) else None,
        sum(row.skipped for row in rows),
    )
