"""Millions of examples in one block of memory, which worker processes share instead of copying.

A forked worker that reads a Python object changes its reference count, and so copies its page: with a list of
two million examples, every worker would end up with gigabytes of its own.
"""

import pickle
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.media.dataset import Example


@dataclass(frozen=True, slots=True)
class PackedIndex:
    """A sequence of examples, kept as bytes and decoded each time one is read.

    Attributes:
        data: uint8, the pickled examples.
        begins: int64 [N], the first byte of each in `data`.
        ends: int64 [N], the byte after each.
        present: modality -> bool [N], which examples have it; modalities that no example has are left out.
        labels: each label -> the first packed example that has it.
    """

    data: NDArray[np.uint8]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    present: dict[str, NDArray[np.bool_]]
    labels: dict[str, Example]

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        example: Example = pickle.loads(self.data[self.begins[index] : self.ends[index]].data)  # noqa: S301 - of `pack`
        return example

    def having(self, modalities: Iterable[str], *, some: bool = False) -> NDArray[np.int64]:
        """Return the rows, [n], of the examples that have all of `modalities`, or some of them."""
        absent = np.zeros(len(self), np.bool_)
        present = np.array([self.present.get(m, absent) for m in modalities])
        return np.flatnonzero(present.any(axis=0) if some else present.all(axis=0))

    def take(self, rows: NDArray[np.int64]) -> "PackedIndex":
        """Return the examples at `rows`, [n]; they share the bytes."""
        present = {m: rows_with[rows] for m, rows_with in self.present.items()}
        return replace(self, begins=self.begins[rows], ends=self.ends[rows], present=present)


def pack(examples: Iterable[Example]) -> PackedIndex:
    """Put examples into one block of memory; they may come from a generator, one at a time."""
    data, places = bytearray(), array("q", [0])
    rows_with: dict[str, bytearray] = {}
    labels: dict[str, Example] = {}
    for example in examples:
        for m in example.modalities:
            if m not in rows_with:
                rows_with[m] = bytearray(len(places) - 1)  # zeros: the examples before lack it
        data += pickle.dumps(example)
        places.append(len(data))
        has = example.modalities
        for m, rows in rows_with.items():
            rows.append(m in has)
        for label in example.labels:
            labels.setdefault(label, example)
    ends = np.frombuffer(places, np.int64)
    present = {m: np.frombuffer(rows, np.bool_) for m, rows in rows_with.items()}
    return PackedIndex(np.frombuffer(data, np.uint8), ends[:-1], ends[1:], present, labels)
