"""Millions of examples in one block of memory, which worker processes share instead of copying.

A forked worker that reads a Python object counts a reference in it, and so copies its page: with a list of
two million examples, every worker would come to hold gigabytes of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from sensemble_sensors.dataset import MEDIA, Example

_FIELDS = tuple(field.name for field in fields(Example))


class Packed:
    """A sequence of examples, kept as bytes and made anew each time one is asked for."""

    def __init__(self, examples: Sequence[Example]) -> None:
        lines = [
            json.dumps({name: getattr(example, name) for name in _FIELDS}, default=str).encode()
            for example in examples
        ]
        self._ends = np.cumsum([len(line) for line in lines], dtype=np.int64)
        self._bytes = np.frombuffer(b"".join(lines), np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Example:
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        index %= len(self)
        begin = self._ends[index - 1] if index else 0
        values = json.loads(self._bytes[begin : self._ends[index]].tobytes())
        media = {kind: Path(values[kind]) for kind in MEDIA if values[kind] is not None}
        return Example(**values | media | {"labels": tuple(values["labels"])})
