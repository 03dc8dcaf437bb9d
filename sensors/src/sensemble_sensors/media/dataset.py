"""Read the data format: a folder with `index.jsonl`, one example a line."""

import sys
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from unicodedata import category, normalize

from sensemble_sensors.errors import BadDataError, SpecError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import MAX_LINE, Fields, numbered, opened
from sensemble_sensors.media.dataset_paths import Root
from sensemble_sensors.media.modalities import FILE_NAME, read_modalities
from sensemble_sensors.media.splits import SPLITS, TAKE, GroupSplits, connected, draw, people
from sensemble_sensors.spec import EXAMPLE_FIELDS, KNOWN, Modality, kind_name
from sensemble_sensors.strict_json import decode

_MEDIA = (*KNOWN, "image")
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # categories of Unicode
_JOINERS = "\u200c\u200d"  # within words of Persian and Hindi, and in emoji
_TRUTHS = ("true", "false", "yes", "no")  # texts that name no sort of backgrounds


@dataclass(frozen=True, slots=True)
class Example:
    """A line of the index.

    Attributes:
        id: unique within the dataset.
        split: one of `SPLITS`: for pretraining, for training, for selection and calibration, for reporting.
        labels: the names of its classes; empty only in `pretrain` and in a background.
        values: by field, the file of a modality, or the text. Sound and pictures may be in one file; `image`
            is a still picture in place of a film (`Kind.fields`).
        start, end: seconds within the media files between which the example lies; None for their ends.
        line: its line in `index.jsonl`, from 1.
        groups: persons and recordings, say, whose examples must be in one split, sorted, takes last; empty
            for an example alone.
        person: the person that it is of, or what stands for one (`splits.people`); None if no one says so.
        background: shows none of the classes: silence, noise, other words, an empty sheet. Models learn from
            it what is unfamiliar; it is never classified.
        sort: the name of its sort of background, which an audit measures apart; empty without a name.
        kinds: the kind of each of its modalities, in the order of their names; by default, as the fields say.
    """

    id: str
    split: str
    labels: tuple[str, ...]
    values: Mapping[str, Path | str] = field(hash=False)
    line: int
    start: float | None = None
    end: float | None = None
    groups: tuple[str, ...] = ()
    person: str | None = None
    background: bool = False
    sort: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.kinds and self.values:
            implied = sorted(_implied(one) for one in self.values)
            object.__setattr__(self, "kinds", {m: kind_name(m) for m in implied})

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities of this example, sorted; an image counts as `video`."""
        return tuple(self.kinds)

    @property
    def group(self) -> str | None:
        """The first of its groups; examples are drawn by it."""
        return next(iter(self.groups), None)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that last some time, each once."""
        paths = (path for m, kind in self.kinds.items() for path in kind_of(kind).files(self, m))
        return tuple(dict.fromkeys(paths))

    def value(self, field: str) -> Path | str | None:
        """Return the file or the text of a field."""
        return self.values.get(field)

    def only(self, modalities: Container[str]) -> "Example":
        """Return the example reduced to `modalities`."""
        kinds = {m: kind for m, kind in self.kinds.items() if m in modalities}
        fields = [name for m, kind in kinds.items() for name in kind_of(kind).fields(m)]
        return replace(self, values={f: v for f, v in self.values.items() if f in fields}, kinds=kinds)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of one folder, in the order of its index.

    Attributes:
        folder: with `index.jsonl`.
        examples: the valid lines.
        skipped: "FILE:LINE: reason" of each bad line that was skipped.
        drawn: the split `calibrate` was drawn from `train`, as the index has none.
        declared: the modalities of `modalities.json`, by name.
    """

    folder: Path
    examples: tuple[Example, ...]
    skipped: tuple[str, ...] = ()
    drawn: bool = False
    declared: Mapping[str, Modality] = field(default_factory=dict)

    def modality(self, name: str) -> Modality:
        """Return one of its modalities, declared or implied by its name."""
        return self.declared.get(name) or Modality(name)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that some example has, sorted; those of backgrounds alone do not count."""
        return tuple(sorted({m for example in self.known for m in example.modalities}))

    @property
    def known(self) -> tuple[Example, ...]:
        """The examples of all splits that may show a class: all but the backgrounds."""
        return tuple(example for example in self.examples if not example.background)

    def split(self, name: str) -> tuple[Example, ...]:
        """Return the examples of a split, one of `SPLITS`, without its backgrounds.

        Those of `pretrain` share no group with `calibrate` and `eval`.
        """
        found = tuple(example for example in self.known if example.split == name)
        if name != "pretrain":
            return found
        held = {group for e in self.known if e.split in {"calibrate", "eval"} for group in e.groups}
        return tuple(example for example in found if held.isdisjoint(example.groups))

    def background(self, name: str) -> tuple[Example, ...]:
        """Return the backgrounds of a split, one of `SPLITS`."""
        return tuple(example for example in self.examples if example.background and example.split == name)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have examples other than backgrounds, in the order of `SPLITS`."""
        return tuple(name for name in SPLITS if self.split(name))

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted: the labels of all splits but `pretrain`."""
        return tuple(sorted({label for e in self.known if e.split != "pretrain" for label in e.labels}))

    @property
    def selection(self) -> tuple[Example, ...]:
        """The labelled examples for selecting models: those of `calibrate` or, without it, of `train`."""
        return self.split("calibrate") or self.split("train")


def read_dataset(folder: Path | str, *, skip_bad: bool = False) -> Dataset:
    """Read and check `folder/index.jsonl`; media files must exist, but are not opened.

    Examples without a group that share a media file get one. If the index has no split `calibrate`, it is
    drawn from `train` (`splits.draw`). A bad line raises
    BadDataError ("FILE:LINE: reason"), as does a missing or empty index; `skip_bad` lists bad lines in
    `Dataset.skipped` instead. A last line that breaks off, as a power cut leaves it, is always skipped.
    """
    folder = Path(folder)
    examples, skipped = read_index(folder, skip_bad=skip_bad)
    if not examples:
        raise BadDataError(
            f"{folder / 'index.jsonl'}: no good example; "
            + (f"the first bad line is {skipped[0]}" if skipped else "it needs a line for each")
        )
    examples, drawn = divided(folder, examples)
    return Dataset(folder, examples, skipped, drawn, read_modalities(folder))


def divided(folder: Path, examples: tuple[Example, ...]) -> tuple[tuple[Example, ...], bool]:
    """Group the examples of an index, draw `calibrate` if it is missing, and tell whether it was drawn."""
    examples = _grouped(folder, examples)
    chosen = draw(examples)
    return tuple(replace(e, split="calibrate") if e.id in chosen else e for e in examples), bool(chosen)


def _grouped(folder: Path, examples: tuple[Example, ...]) -> tuple[Example, ...]:
    """Give each example without a group the one of those that it shares a media file with.

    It is an explicit group, or else named by one of the files. Only an explicit one names a person.
    """
    person_of = people(example.groups for example in examples)
    alone = [(e.id, files) for e in examples if not e.groups and (files := _media(e))]
    first = connected(files for _, files in alone)
    count = Counter(first[files[0]] for _, files in alone)
    groups = dict[str, str]()
    for example in examples:
        for file in _media(example) if example.groups else ():
            if file in first:
                groups.setdefault(first[file], example.groups[0])
    for file, n in count.items():
        if n > 1:
            groups.setdefault(file, Path(file).relative_to(folder).as_posix())
    given = {name: groups[first[files[0]]] for name, files in alone if first[files[0]] in groups}
    examples = tuple(replace(e, groups=(given[e.id],)) if e.id in given else e for e in examples)
    return tuple(
        replace(e, person=person_of[e.groups[0]]) if e.groups and e.groups[0] in person_of else e
        for e in examples
    )


def _media(example: Example) -> list[str]:
    return [str(value) for value in example.values.values() if isinstance(value, Path)]


def read_index(folder: Path, *, skip_bad: bool = False) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Read `folder/index.jsonl` without drawing a split; it may have no example.

    Returns the good examples and "FILE:LINE: reason" of each skipped line; raises as `read_dataset`.
    """
    index = folder / "index.jsonl"
    reader = IndexParser(folder, EXAMPLE_FIELDS)
    examples: dict[str, Example] = {}
    groups = GroupSplits()
    skipped: list[str] = []
    try:
        with opened(index) as file:
            for number, line in numbered(file):
                if line.isspace():
                    continue
                try:
                    example = reader.example(Fields(line), number)
                    _check_new(example, examples, groups)
                except BadDataError as error:
                    reason = f"{index}:{number}: {error}"
                    broken_off = line[-1:] not in b"\n}" and len(line) < MAX_LINE
                    if not skip_bad and not broken_off:
                        raise BadDataError(reason) from error
                    skipped.append(reason)
                else:
                    examples[example.id] = example
    except OSError as error:
        raise BadDataError(
            f"{index}: cannot be read ({error.strerror}); a dataset is a folder with this file"
        ) from error
    return tuple(examples.values()), tuple(skipped)


def _check_new(example: Example, examples: dict[str, Example], groups: GroupSplits) -> None:
    if example.id in examples:
        raise BadDataError(f"id: {example.id!r} is already that of line {examples[example.id].line}")
    if example.labels or example.background:
        for group in example.groups:
            groups.add(group, example.split, f"line {example.line}")


def label_names(raw: object) -> tuple[str, ...]:
    """Return the names in a list of labels, or none of None; BadDataError if one is blank or unprintable."""
    return () if raw is None else tuple(map(sys.intern, _names(raw, "labels")))


def _names(raw: object, field: str) -> tuple[str, ...]:
    names = tuple(normalize("NFC", name) for name in decode(tuple[str, ...], raw, field))
    if not all(name.strip() for name in names) or len(set(names)) < len(names):
        raise BadDataError(f"{field}: expected names, each once")
    return names


def group_names(line: Fields) -> tuple[str, ...]:
    """Return the names in `group`, a string or a list, sorted, takes last; none where it is absent."""
    given = line.values.get("group")
    if not isinstance(given, list):
        given = [] if (group := line.text("group")) is None else [group]
    return tuple(sorted(_names(given, "group"), key=lambda name: (bool(TAKE.fullmatch(name)), name)))


def _background(line: Fields) -> tuple[bool, str]:
    """Return whether an example is a background, and the name of its sort; empty without one."""
    mark = line.values.get("background")
    text = normalize("NFC", str(line.get("background", str))) if isinstance(mark, str) else ""
    sort = "".join(" " if category(each) == "Zs" else each for each in text).strip(_JOINERS + " ")
    if any(category(each) in _UNSEEN and each not in _JOINERS for each in sort):
        raise BadDataError(f"background: {sort!a} holds an invisible character; leave it out")
    if sort.casefold() in _TRUTHS:
        raise BadDataError(f"background: {sort!r} is not a sort; write true or false without quotes")
    return bool(sort) or (mark is not None and line.flag("background")), sort


def _implied(name: str) -> str:
    """Return the modality of a field that is not declared: `video.rear` for `image.rear`."""
    _, dot, rest = name.partition(".")
    modalities = (first + dot + rest for first in KNOWN)
    return next((m for m in modalities if name in kind_of(kind_name(m)).fields(m)), "")


class IndexParser:
    """Reads lines of an index; `reserved` names the fields that are no modality."""

    def __init__(self, folder: Path, reserved: Sequence[str]) -> None:
        self._root, self._reserved = Root(folder), reserved
        self._declared = read_modalities(folder)
        every = self._declared.values()
        self._modalities = {name: m.name for m in every for name in kind_of(m).fields(m.name)}
        self._kinds: dict[tuple[str, ...], dict[str, str]] = {}  # by fields: examples with the same share it

    def values(self, line: Fields, *, texts: bool) -> tuple[dict[str, Path | str], Mapping[str, str]]:
        """Return the values by field and the kinds by modality; `texts` stand in the line, else in files."""
        kinds = self._kinds_of(tuple(one for one in line.values if one not in self._reserved))
        values: dict[str, Path | str] = {}
        present: dict[str, str] = {}
        for modality, kind in kinds.items():
            fields = kind_of(kind).fields(modality)
            given = {one: text for one in fields if (text := line.text(one)) is not None}
            if len(given) > 1:
                raise BadDataError(f"{fields[-1]}: an example has either {' or '.join(fields)}")
            for one, text in given.items():
                is_text = texts and kind_of(kind).tokenized
                values[one] = text if is_text else self._root.file(one, text)
                present[modality] = kind
        if not values:
            raise BadDataError(f"names none of {', '.join((*_MEDIA, *self._declared))}")
        return values, kinds if len(present) == len(kinds) else present

    def file(self, field: str, relative: str) -> Path:
        """Return the path of a file in the folder; BadDataError names the field."""
        return self._root.file(field, relative)

    def example(self, line: Fields, number: int) -> Example:
        """Return the example of a line; BadDataError names the field."""
        name, split, labels = line.text("id"), line.text("split"), label_names(line.values.get("labels"))
        if name is None:
            raise BadDataError("id: is missing")
        if split not in SPLITS:
            raise BadDataError(f"split: expected one of {', '.join(SPLITS)}")
        background, sort = _background(line)
        if background and labels:
            raise BadDataError(
                "labels: a background shows none of the classes; leave out the labels or the mark"
            )
        if not labels and not background and split != "pretrain":
            raise BadDataError(f"labels: a {split} example needs at least one, unless it is a background")
        values, kinds = self.values(line, texts=True)
        start, end = line.seconds("start"), line.seconds("end")
        if end is not None and end <= (start or 0.0):
            raise BadDataError("end: expected a time after start")
        return Example(
            id=name,
            split=sys.intern(split),
            labels=labels,
            values=values,
            start=start,
            end=end,
            line=number,
            groups=group_names(line),
            background=background,
            sort=sort,
            kinds=kinds,
        )

    def _kinds_of(self, fields: tuple[str, ...]) -> Mapping[str, str]:
        if fields not in self._kinds:
            self._kinds[fields] = dict(sorted(map(self._kind, fields)))
        return self._kinds[fields]

    def _kind(self, name: str) -> tuple[str, str]:
        try:
            modality = self._modalities.get(name) or _implied(name)
        except SpecError:
            modality = ""
        if not modality:
            shown = name if name.isprintable() else ascii(name)
            known = ", ".join((*self._reserved, *_MEDIA, *self._declared))
            raise BadDataError(
                f"{shown:.80}: unknown field; the format has {known}, names that begin with one of these "
                f"and a dot, and what {FILE_NAME} declares"
            )
        return modality, self._declared[modality].kind if modality in self._declared else kind_name(modality)
