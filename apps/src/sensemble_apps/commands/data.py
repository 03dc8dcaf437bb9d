"""`sensemble data`: build the embedded digits; index, count and divide datasets."""

import os
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media import decoding
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.media.division import Division, divide
from sensemble_sensors.media.leaks import leaks
from sensemble_sensors.media.splits import SPLITS
from sensemble_sensors.media.streams import FILE_NAME, STREAM_SPLITS, Stream, check, read_streams, seconds
from sensemble_sensors.recording.editing import set_splits

from sensemble_apps.console.columns import table
from sensemble_apps.console.output import check_writable, remark, say
from sensemble_apps.console.progress import progress
from sensemble_apps.errors import InputError
from sensemble_apps.options import Common, Folder, OptionalSeed, Positional, Seed

_TAKES, _BACKGROUNDS = 15, 6  # of an example; the takes are of each class
_MOST_MINUTES = 600


def _minutes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_MINUTES:
        raise ArgumentTypeError(f"{text}: give a whole number of minutes from 1 to {_MOST_MINUTES}")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class DataBuild(Common):
    """Build the embedded digits dataset, unless it exists, and print its folder."""

    seed: Seed = 0
    """The seed of the people, the splits and every rendering."""
    imu: bool = False
    """Add a fourth modality, `imu`: the motion of the wrist that writes the digit in the air."""
    stream_minutes: Annotated[int, "N", _minutes] = 4
    """The minutes of `calibrate`'s streams, by which thresholds are set, and of `eval`'s, which test them."""


def build(arguments: DataBuild) -> None:
    """Build the dataset, unless it exists, and print its folder."""
    say(str(digits(arguments.seed, imu=arguments.imu, stream_minutes=arguments.stream_minutes)))


def digits(seed: int, *, imu: bool = False, stream_minutes: int = 4) -> Path:
    """Return the folder of the digits drawn from `seed`; build them first if they do not exist."""
    from sensemble_train.digits import build
    from sensemble_train.digits.plan import DigitsConfig

    streams = ("train", 240), ("calibrate", 60 * stream_minutes), ("eval", 60 * stream_minutes)
    config = DigitsConfig(seed=seed, imu=imu, streams=streams)
    with progress("Building the digits dataset") as advance:
        return build.build(build.cache_folder(config), config, advance)


@dataclass(frozen=True, kw_only=True)
class DataExample(Common):
    """Make a small recording like a person's: three words, each said while its shape is shown."""

    folder: Positional[Folder]
    """A new folder."""


def example(arguments: DataExample) -> None:
    """Record the takes, and some backgrounds, and print their folder."""
    from sensemble_train.digits.spoken_takes import record

    folder = arguments.folder
    check_writable(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds files; name a new folder")
    with progress("Recording takes") as advance:
        record(folder, _TAKES, backgrounds=_BACKGROUNDS, progress=advance)
    say(str(folder))


@dataclass(frozen=True, kw_only=True)
class DataPrepare(Common):
    """Write the index of a published dataset beside its lists and media, and count what is missing."""

    dataset: Positional[Literal["audioset", "kinetics", "imagenet-captions"]]
    """The dataset."""
    folder: Positional[Folder]
    """The folder with its lists and, at any depth, its media; `index.jsonl` is written there."""


def prepare(arguments: DataPrepare) -> None:
    """Write the index, and print how many clips of each split are in it."""
    folder = arguments.folder
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give the one that holds {arguments.dataset}")
    check_writable(folder)
    from sensemble_train.experiments import prepare as published

    with progress("Looking into the media") as advance:
        counts = published.prepare(arguments.dataset, folder, advance)
    for line in (*counts, f"{folder / published.LEFT_OUT} says why the others are not in it"):
        say(line)


@dataclass(frozen=True, kw_only=True)
class DataShow(Common):
    """Count the examples, labels and modalities of a dataset, and list its bad lines."""

    folder: Positional[Folder]
    """A folder with `index.jsonl`."""
    check: bool = False
    """Also open every media file, decode its beginning, and look for files that several splits share."""


def show(arguments: DataShow) -> None:
    """Print counts by split of modalities, labels and groups, then every bad line."""
    dataset = read_dataset(arguments.folder, skip_bad=True)
    console = Console()
    sets = Counter((example.split, subsets.name(example.modalities)) for example in dataset.examples)
    console.print(_counts("Modalities", sets))
    every = set(dataset.modalities)
    missing = Counter((e.split, m) for e in dataset.examples for m in every - set(e.modalities))
    if missing:
        console.print(_counts("Missing", missing))
    labels = Counter((e.split, label) for e in dataset.examples for label in _labels(e))
    console.print(_counts("Labels", labels, bars=True))
    groups = Counter(
        (split, "groups") for split, _ in {(e.split, e.group) for e in dataset.examples if e.group}
    )
    if groups:
        groups += Counter((e.split, "examples without one") for e in dataset.examples if not e.group)
        console.print(_counts("Groups", groups))
    try:
        _print_for_training(console, dataset)
    except ModuleNotFoundError:  # on a board
        console.print(
            "To see what it is too small for, run `pip install 'sensemble-apps[train]'`.", markup=False
        )
    if dataset.drawn:
        drawn, train = len(dataset.split("calibrate")), len(dataset.split("train"))
        console.print(
            f"calibrate is not in the index: {drawn} of the {train + drawn} examples of train make it",
            highlight=False,
            soft_wrap=True,
        )
    streams = read_streams(arguments.folder)
    if streams:
        console.print(_hours(streams, dataset))
    bad = [*dataset.skipped, *(_bad_media(dataset, streams) if arguments.check else ())]
    for reason in bad:
        console.print(reason, style="yellow", markup=False, highlight=False, soft_wrap=True)
    shared = list(leaks(dataset, streams)) if arguments.check else []
    for leak in shared:
        console.print(leak.text, style="yellow", markup=False, highlight=False, soft_wrap=True)
    good = len(dataset.examples) + len(streams) + len(dataset.skipped) - len(bad)
    unseen = "" if arguments.check else "; --check also opens their media"
    what = "examples and streams" if streams else "examples"
    console.print(f"{good} good {what}, {len(bad)} bad lines{unseen}", highlight=False)
    if arguments.check and bad:
        raise BadDataError(f"{arguments.folder}: {len(bad)} of {good + len(bad)} lines are bad; mend them")
    if count := sum(leak.same for leak in shared):
        raise BadDataError(f"{arguments.folder}: files that two splits share: {count}; mend them")


def _print_for_training(console: Console, dataset: Dataset) -> None:
    """Print why no model is trained on the dataset, and what it is too small for."""
    from sensemble_train.data.trainable import refusals, shortages

    for line in (
        *(f"no model is trained on it: {reason}" for reason in refusals(dataset)),
        *shortages(dataset),
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _bad_media(dataset: Dataset, streams: Sequence[Stream]) -> Iterator[str]:

    def reason(one: Example | Stream) -> str | None:
        try:
            if isinstance(one, Stream):
                check(one, dataset.declared)
            else:
                decoding.check(one, dataset.declared)
        except BadDataError as error:
            name = FILE_NAME if isinstance(one, Stream) else "index.jsonl"
            return f"{dataset.folder / name}:{one.line}: {error}"
        return None

    every = [*dataset.examples, *streams]
    with progress("Checking the media") as advance, ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, bad in enumerate(pool.map(reason, every), start=1):
            advance(done, len(every))
            if bad is not None:
                yield bad


def _hours(streams: Sequence[Stream], dataset: Dataset) -> Table:
    """Draw the length of the streams, and their spans by label, in each split."""
    drawn = table(("",), STREAM_SPLITS, "Streams")
    lengths = Counter[str]()
    for stream in streams:
        with suppress(BadDataError):  # --check names it
            lengths[stream.split] += round(seconds(stream, dataset.declared))
    drawn.add_row("time", *(str(timedelta(seconds=lengths[split])) for split in STREAM_SPLITS))
    counts = Counter((stream.split, span.label) for stream in streams for span in stream.spans)
    rows = [("streams", Counter(stream.split for stream in streams))]
    rows += [
        (label, Counter({split: counts[split, label] for split in STREAM_SPLITS}))
        for label in sorted({label for _, label in counts})
    ]
    for name, row in rows:
        drawn.add_row(name, *(str(row[split]) for split in STREAM_SPLITS))
    return drawn


def _labels(example: Example) -> tuple[str, ...]:
    return example.labels or (("(background)",) if example.background else ("(none)",))


def _counts(title: str, counts: Counter[tuple[str, str]], *, bars: bool = False) -> Table:
    drawn = table(("",), SPLITS, title)
    if bars:
        drawn.add_column("all", width=20)
    totals: Counter[str] = Counter()
    for (_, name), count in counts.items():
        totals[name] += count
    most = max(totals.values(), default=1)
    for name, total in sorted(totals.items(), key=lambda item: (-item[1] if bars else 0, item[0])):
        bar = [ProgressBar(most, total, width=20)] if bars else []
        drawn.add_row(name, *(str(counts[split, name]) for split in SPLITS), *bar)
    return drawn


@dataclass(frozen=True, kw_only=True)
class DataSplit(Common):
    """Hold out a third of each class, in whole groups, for selection (calibrate) and reporting (eval)."""

    folder: Positional[Folder]
    """A folder with `index.jsonl`, which is changed."""
    seed: OptionalSeed = None
    """Draw everything anew with this seed; by default, held-out examples stay, and only the rest is drawn."""


def split(arguments: DataSplit) -> None:
    """Print the division by class and write it to the index, all at once."""
    dataset = read_dataset(arguments.folder)
    division = divide(dataset, arguments.seed or 0, keep=arguments.seed is None)
    if not division.splits:
        raise InputError(
            f"{arguments.folder}: no example to train on has a label; label some, or record classes"
        )
    if {*division.splits.values()} == {"train"}:
        raise InputError(f"{arguments.folder}: nothing can be held out: {'; '.join(division.shortages)}")
    Console().print(_division(division))
    for line in division.shortages:
        remark(line)
    set_splits(arguments.folder, division.splits)
    say(str(arguments.folder / "index.jsonl"))


def _division(division: Division) -> Table:
    splits = [*next(iter(division.shares.values()))]
    drawn = table(("",), splits, "Groups (and examples) of each class")
    for label, shares in division.shares.items():
        drawn.add_row(escape(label), *(f"{share.groups} ({share.examples})" for share in shares.values()))
    return drawn
