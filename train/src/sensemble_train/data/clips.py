"""Clips: examples decoded into tensors, and the interface of sources that yield them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import cpu_count
from typing import Protocol, Self

import torch
from sensemble_runtime.bundle.tokenize import tokenize
from sensemble_runtime.progress import Progress
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import InputSpec
from tokenizers import Tokenizer
from torch import Tensor

LOG = logging.getLogger(__name__)


class ClipSource(Protocol):
    """Examples to train on, as the encoders' front ends make them: in memory, or loaded from disk."""

    @property
    def targets(self) -> Tensor | None:
        """Labels, as in `Clips`."""

    def __len__(self) -> int: ...

    def having(self, modalities: Sequence[str], *, some: bool = False) -> Self:
        """Keep the examples that have all of `modalities`, or some, reduced to them (D|m of Eq. 1)."""

    def take(self, rows: Tensor) -> Self:
        """Return the examples at `rows`, int64."""

    def load(
        self, order: Iterable[Sequence[int]], device: torch.device, workers: int, step: int | None = None
    ) -> Iterator["Clips"]:
        """Yield a batch on `device` for each sequence of rows, decoded by `workers` processes.

        In training, `step` is the number of the first batch; the random draws depend on it.
        """

    def mapped(self, change: Callable[["Clips"], "Clips"]) -> "ClipSource":
        """Return a source whose examples `change` maps, at once or as they are loaded."""


@dataclass(frozen=True, slots=True)
class Clips:
    """N decoded examples; once they are features, they are a source in memory."""

    inputs: dict[str, Tensor]  # modality -> [N, ...]: raw windows, or an encoder's features of them
    present: dict[str, Tensor]  # modality -> bool [N]; absent rows of `inputs` are zeros
    targets: Tensor | None  # int64 [N] (multi-class), 0/1 float32 [N, C] (multi-label) or None
    skipped: int = 0  # bad examples that were passed over
    complete: frozenset[str] = frozenset()  # modalities that all examples have; knowing avoids a GPU sync

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def having(self, modalities: Sequence[str], *, some: bool = False) -> "Clips":
        """See `ClipSource`."""
        present = torch.stack([self.present[m] for m in modalities])
        rows = (present.any(dim=0) if some else present.all(dim=0)).nonzero().flatten()
        return self.take(rows, modalities)

    def take(self, rows: Tensor, modalities: Sequence[str] | None = None) -> "Clips":
        """Return the examples at `rows`."""
        names = tuple(self.inputs) if modalities is None else modalities
        return Clips(
            {m: self.inputs[m][rows] for m in names},
            {m: self.present[m][rows] for m in names},
            None if self.targets is None else self.targets[rows],
            complete=self.complete & set(names),
        )

    def pin_memory(self) -> "Clips":
        """Return the examples in pinned memory; a DataLoader calls this."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> "Clips":
        """Return the examples on `device`, with the modalities that are `complete`."""
        complete = frozenset(m for m, rows in self.present.items() if rows.all())
        moved = self._each(lambda tensor: tensor.to(device, non_blocking=True))
        return replace(moved, complete=complete)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Clips":
        return Clips(
            {m: change(x) for m, x in self.inputs.items()},
            {m: change(rows) for m, rows in self.present.items()},
            None if self.targets is None else change(self.targets),
            self.skipped,
        )

    def load(
        self, order: Iterable[Sequence[int]], device: torch.device, workers: int, step: int | None = None
    ) -> Iterator["Clips"]:
        """See `ClipSource`; nothing is decoded or drawn."""
        del workers, step
        return (self.take(torch.tensor(rows)).to(device) for rows in order)

    def mapped(self, change: Callable[["Clips"], "Clips"]) -> "Clips":
        """Change the examples now: their features are the same at every step."""
        return change(self)


def joined(parts: Sequence[Clips]) -> Clips:
    """Return the examples of all parts, of the first one's modalities; without targets if a part has none."""
    labelled = [part.targets for part in parts if part.targets is not None]
    return Clips(
        {m: torch.cat([part.inputs[m] for part in parts]) for m in parts[0].inputs},
        {m: torch.cat([part.present[m] for part in parts]) for m in parts[0].present},
        torch.cat(labelled) if len(labelled) == len(parts) else None,
        sum(part.skipped for part in parts),
        frozenset.intersection(*(part.complete for part in parts)),
    )


def decode(
    examples: Sequence[Example],
    specs: Mapping[str, InputSpec],
    tokenizer: Tokenizer | None,
    labels: Sequence[str],
    task: str,
    progress: Progress,
    *,
    skip_bad: bool = False,
) -> Clips:
    """Decode the first window of every example, of the modalities in `specs`.

    With `skip_bad`, an example that cannot be decoded is logged and its row left empty; otherwise
    BadDataError names the example, its line and the file.
    """
    count = len(examples)
    inputs = {
        m: torch.zeros(count, *spec.shape[1:], dtype=getattr(torch, spec.dtype)) for m, spec in specs.items()
    }
    present = {m: torch.zeros(count, dtype=torch.bool) for m in specs}

    def one(i: int) -> bool:
        example = examples[i]
        rows: dict[str, Tensor] = {}
        for modality in example.modalities:
            spec = specs.get(modality)
            if spec is None:
                continue
            try:
                rows[modality] = as_input(kind_of(spec).window(example, spec), spec, tokenizer)
            except BadDataError as error:
                if not skip_bad:
                    raise bad(example, error) from error
                LOG.warning("skipped %s", bad(example, error))
                return False
        for modality, row in rows.items():
            inputs[modality][i] = row[0]
            present[modality][i] = True
        return True

    good = 0
    with ThreadPoolExecutor(cpu_count()) as pool:
        for done, was_good in enumerate(pool.map(one, range(count)), start=1):
            good += was_good
            progress(done, count)
    return Clips(inputs, present, targets(examples, labels, task), count - good)


def as_input(window: Media | str, spec: InputSpec, tokenizer: Tokenizer | None) -> Tensor:
    """Return a window as an encoder reads it, [1, ...]; text becomes token ids."""
    if not isinstance(window, str):
        return torch.from_numpy(window)
    assert tokenizer is not None  # noqa: S101 - a model with captions has one
    return torch.from_numpy(tokenize(tokenizer, window, spec.shape[1]))


def bad(example: Example, error: BadDataError) -> BadDataError:
    """Return `error` as one line that names the example, its line, the field and the remedy."""
    named = [field for field, value in example.values.items() if str(error).startswith(f"{value}:")]
    reason = ": ".join([*named, str(error)])
    return BadDataError(
        f"index.jsonl:{example.line} ({example.id!r}): {reason}; repair it, or delete its line"
    )


def targets(examples: Iterable[Example], labels: Sequence[str], task: str) -> Tensor | None:
    """Turn labels into class indices int64 [N] or 0/1 float32 [N, C]; None if an example has no label."""
    found = []
    for example in examples:
        if task == "multi-class" and len(example.labels) > 1:
            raise BadDataError(
                f"index.jsonl:{example.line}: {example.id!r} has the labels {', '.join(example.labels)}, of "
                "which only one can be; give it one, or take --task multi-label"
            )
        found.append(example.labels)
    if not all(found):
        return None
    index = {label: i for i, label in enumerate(labels)}
    if task == "multi-class":
        return torch.tensor([index[names[0]] for names in found])
    hot = torch.zeros(len(found), len(labels))
    for row, names in enumerate(found):
        hot[row, [index[label] for label in names]] = 1.0
    return hot
