"""Examples decoded into tensors: what the recipe trains on when the data fits in memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from typing import Protocol, Self

import torch
from sensemble_runtime.text import tokenize
from sensemble_sensors.dataset import Example
from sensemble_sensors.media import window
from sensemble_sensors.spec import InputSpec
from tokenizers import Tokenizer
from torch import Tensor

Progress = Callable[[int, int], None]


class Source(Protocol):
    """Examples to train on, wherever they are."""

    @property
    def raw(self) -> bool:
        """Whether what it loads are sensors' tensors, which the encoders' front ends have yet to see."""

    @property
    def present(self) -> dict[str, Tensor]:
        """Modality -> bool [N], which examples have it."""

    @property
    def targets(self) -> Tensor | None:
        """The labels, as those of `Clips`."""

    def __len__(self) -> int: ...

    def having(self, modalities: Sequence[str]) -> Self:
        """Keep the examples that have all of `modalities`, and of each only those (x|m and D|m of Eq. 1)."""

    def take(self, rows: Tensor) -> Self:
        """Return the examples at `rows`, int64."""

    def load(
        self, order: Iterable[Sequence[int]], device: torch.device, workers: int, step: int | None = None
    ) -> Iterator["Clips"]:
        """Yield a batch on `device` for each sequence of rows, decoded by `workers` processes.

        In training, `step` is the number of the first batch, from which what is random about it is drawn.
        """


@dataclass(frozen=True, slots=True)
class Clips:
    """N decoded examples: a source in memory, once they are features.

    Attributes:
        inputs: modality -> tensor [N, ...]: raw sensor tensors, or an encoder's features of them.
        present: modality -> bool [N]; a row of `inputs` that is not present holds zeros.
        targets: class indices int64 [N] (multi-class), 0/1 float32 [N, C] (multi-label), or None.
    """

    inputs: dict[str, Tensor]
    present: dict[str, Tensor]
    targets: Tensor | None

    @property
    def raw(self) -> bool:
        """The front ends have seen these."""
        return False

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def having(self, modalities: Sequence[str]) -> "Clips":
        """Keep the examples that have all of `modalities`, and of each only those (x|m and D|m of Eq. 1)."""
        rows = torch.stack([self.present[m] for m in modalities]).all(dim=0).nonzero().flatten()
        return self.take(rows, modalities)

    def take(self, rows: Tensor, modalities: Sequence[str] | None = None) -> "Clips":
        """Return the examples at `rows`."""
        names = tuple(self.inputs) if modalities is None else modalities
        return Clips(
            {m: self.inputs[m][rows] for m in names},
            {m: self.present[m][rows] for m in names},
            None if self.targets is None else self.targets[rows],
        )

    def pin_memory(self) -> "Clips":
        """Return the examples in memory from which a GPU reads by itself; a DataLoader asks for it."""
        return Clips(
            {m: x.pin_memory() for m, x in self.inputs.items()},
            {m: rows.pin_memory() for m, rows in self.present.items()},
            None if self.targets is None else self.targets.pin_memory(),
        )

    def to(self, device: torch.device) -> "Clips":
        """Return the examples on `device`."""
        return Clips(
            {m: x.to(device, non_blocking=True) for m, x in self.inputs.items()},
            {m: rows.to(device, non_blocking=True) for m, rows in self.present.items()},
            None if self.targets is None else self.targets.to(device, non_blocking=True),
        )

    def load(
        self, order: Iterable[Sequence[int]], device: torch.device, workers: int, step: int | None = None
    ) -> Iterator["Clips"]:
        """Yield a batch for each sequence of rows; see `Source`. There is nothing to decode, nor to draw."""
        del workers, step
        return (self.take(torch.tensor(rows)).to(device) for rows in order)


def decode(
    examples: Sequence[Example],
    specs: Mapping[str, InputSpec],
    tokenizer: Tokenizer | None,
    labels: Sequence[str],
    task: str,
    progress: Progress,
) -> Clips:
    """Decode the first window of every example.

    Args:
        examples: of one split.
        specs: the modalities to decode and their form.
        tokenizer: for captions; needed with `text` in `specs`.
        labels: the class names; an example without labels makes `targets` None.
        task: `multi-class` or `multi-label`.
        progress: called with (examples done, examples in all).

    Raises:
        BadDataError: a file cannot be decoded.
    """
    count = len(examples)
    kinds = {"uint8": torch.uint8, "float32": torch.float32, "int64": torch.int64}
    inputs = {m: torch.zeros(count, *spec.shape[1:], dtype=kinds[spec.dtype]) for m, spec in specs.items()}
    present = {m: torch.zeros(count, dtype=torch.bool) for m in specs}

    def one(i: int) -> None:
        example = examples[i]
        for modality in example.modalities:
            spec = specs.get(modality)
            if spec is None:
                continue
            if modality == "text":
                assert tokenizer is not None  # noqa: S101 - part of the contract above
                rows = torch.from_numpy(tokenize(tokenizer, example.text or "", spec.shape[1]))
            else:
                rows = torch.from_numpy(window(example, spec))
            inputs[modality][i] = rows[0]
            present[modality][i] = True

    with ThreadPoolExecutor(cpu_count()) as pool:
        for done, _ in enumerate(pool.map(one, range(count)), start=1):
            progress(done, count)
    return Clips(inputs, present, targets(examples, labels, task))


def targets(examples: Sequence[Example], labels: Sequence[str], task: str) -> Tensor | None:
    """Turn label names into class indices int64 [N] or 0/1 float32 [N, C]; None if an example has none."""
    if not all(example.labels for example in examples):
        return None
    index = {label: i for i, label in enumerate(labels)}
    if task == "multi-class":
        return torch.tensor([index[example.labels[0]] for example in examples])
    hot = torch.zeros(len(examples), len(labels))
    for row, example in enumerate(examples):
        hot[row, [index[label] for label in example.labels]] = 1.0
    return hot
