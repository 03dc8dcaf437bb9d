"""Leaks: files, or equal bytes, that examples of several splits share. What was learned is then scored."""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from sensemble_sensors.media.content import file_digest
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.media.splits import SPLITS
from sensemble_sensors.media.streams import FILE_NAME, Stream


@dataclass(frozen=True, slots=True)
class Leak:
    """Two examples of two splits that share a file, or files of equal bytes.

    Attributes:
        text: a sentence that names both and the remedy.
        same: they have the same seconds of it; otherwise other parts of one recording, or a sensor that never
            changes.
    """

    text: str
    same: bool


@dataclass(frozen=True, slots=True)
class _Use:
    """A file of an example."""

    example: Example | Stream
    file: Path
    name: str  # within the dataset's folder
    identity: tuple[int, int]  # of the file, by whatever name

    @property
    def side(self) -> str:
        return "train" if self.example.split == "pretrain" else self.example.split

    @property
    def start(self) -> float:
        return 0.0 if isinstance(self.example, Stream) else self.example.start or 0.0

    @property
    def end(self) -> float:
        end = None if isinstance(self.example, Stream) else self.example.end
        return math.inf if end is None else end

    @property
    def labels(self) -> tuple[str, ...]:
        return () if isinstance(self.example, Stream) else self.example.labels

    @property
    def background(self) -> bool:
        return isinstance(self.example, Example) and self.example.background

    def __str__(self) -> str:
        of = f" of {FILE_NAME}" if isinstance(self.example, Stream) else ""
        return f"{self.name} of {self.example.id!r} ({self.example.split}, line {self.example.line}{of})"


def leaks(dataset: Dataset, streams: Iterable[Stream] = ()) -> Iterator[Leak]:
    """Yield the leaks of a dataset and its streams: one per shared content and pair of splits.

    Unreadable files are skipped. A sensor whose files are all the same is named once.

    Only files of one size that lie in several splits are read, and as a whole only where they begin alike.
    `pretrain` counts as `train`.
    """
    sizes: dict[Hashable, list[_Use]] = {}
    # Without those of `pretrain` that nothing is learned from, as they share a group with what is held out.
    examples = (e for split in SPLITS for e in (*dataset.split(split), *dataset.background(split)))
    every: Iterable[Example | Stream] = (*examples, *streams)
    for example in every:
        for file in {value for value in example.values.values() if isinstance(value, Path)}:
            with suppress(OSError):
                status = file.stat()
                name = file.relative_to(dataset.folder).as_posix()
                use = _Use(example, file, name, (status.st_dev, status.st_ino))
                sizes.setdefault(status.st_size, []).append(use)
    for alike in _shared(sizes.values()):
        for began in _shared(_by_content(alike, is_beginning=True)):
            for same in _shared(_by_content(began, is_beginning=False)):
                is_silence = all(use.background for use in same)  # which is the same everywhere
                if field := _constant(same, dataset):
                    yield Leak(
                        f"{field}: all files have the same bytes and tell nothing; leave it out", same=False
                    )
                    continue
                for uses in _shared(_by(same, lambda use: use.identity)) if is_silence else [same]:
                    for two in combinations(sorted({use.side for use in uses}), 2):
                        yield _leak([use for use in uses if use.side in two])


def _constant(uses: list[_Use], dataset: Dataset) -> str:
    """Return the field that has the same seconds of one content in all examples; empty if there is none."""
    if len({use.labels for use in uses}) > 1 and len({(use.start, use.end) for use in uses}) == 1:
        files = {use.file for use in uses}
        for field in uses[0].example.values:
            if all(e.values[field] in files for e in dataset.examples if field in e.values):
                return field
    return ""


def _shared(groups: Iterable[list[_Use]]) -> Iterator[list[_Use]]:
    """Yield those of the groups that lie in several splits."""
    return (uses for uses in groups if len({use.side for use in uses}) > 1)


def _by_content(uses: list[_Use], *, is_beginning: bool) -> Iterable[list[_Use]]:
    """Divide uses by the contents of their files, or by the beginnings."""
    files = {use.identity: use.file for use in uses}
    contents = (
        {one: file_digest(file, is_beginning=is_beginning) or one for one, file in files.items()}
        if len(files) > 1
        else {}
    )
    return _by(uses, lambda use: contents.get(use.identity))


def _by(uses: list[_Use], trait: Callable[[_Use], Hashable]) -> Iterable[list[_Use]]:
    found: dict[Hashable, list[_Use]] = {}
    for use in uses:
        found.setdefault(trait(use), []).append(use)
    return found.values()


def _leak(uses: list[_Use]) -> Leak:
    meeting = _meeting(uses)
    one, other = meeting or (uses[0], next(use for use in uses if use.side != uses[0].side))
    what = "the same file" if one.identity == other.identity else "the same bytes"
    return Leak(
        f"{one} and {other} are {what if meeting else 'parts of one file'}: the score would count learned "
        "examples; give both one split, or one group",
        meeting is not None,
    )


def _meeting(uses: list[_Use]) -> tuple[_Use, _Use] | None:
    """Return two uses of two splits that have seconds in common; None if there are none."""
    longest: dict[str, _Use] = {}  # of each split, the one that ends last
    for use in sorted(uses, key=lambda use: use.start):
        for side, other in longest.items():
            if side != use.side and other.end > use.start:
                return other, use
        if use.side not in longest or use.end > longest[use.side].end:
            longest[use.side] = use
    return None
