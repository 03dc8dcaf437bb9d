"""`sensemble data prepare`: convert a published dataset to Sensemble's data format."""

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

from sensemble_apps.arguments import Common, Folder, Positional
from sensemble_apps.console.output import check_writable, say
from sensemble_apps.console.progress import progress
from sensemble_apps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DataPrepare(Common):
    """Convert a published dataset to Sensemble's format, and count what is missing."""

    dataset: Positional[Literal["audioset", "kinetics", "imagenet-captions"]]
    """The dataset."""
    source: Positional[Annotated[Path, "SOURCE"]]
    """The folder with its lists and, at any depth, its media."""
    out: Positional[Folder]
    """The folder to write: another one on the same disk, or SOURCE itself; an interrupted run continues."""
    shards: int | None = None
    """Write WebDataset shards of up to N examples, their segments cut out, instead of links to the files."""
    skip_bad: bool = False
    """Leave bad examples out and list them in `bad.txt`, instead of failing."""
    jobs: int | None = None
    """The number of processes; by default, one per core."""


def main(arguments: DataPrepare) -> None:
    """Write the dataset, and print how much of it was found."""
    if not arguments.source.is_dir():
        raise InputError(f"{arguments.source}: is not a folder; give the one that holds {arguments.dataset}")
    for option, number in (("--shards", arguments.shards), ("--jobs", arguments.jobs)):
        if number is not None and number < 1:
            raise InputError(f"{option} {number}: give a number above 0")
    check_writable(arguments.out)
    from sensemble_train.experiments.prepare.write import write

    module = import_module(f"sensemble_train.experiments.prepare.{arguments.dataset.replace('-', '_')}")
    with progress("Looking into the media") as advance:
        report = write(
            module.survey(arguments.source, arguments.out),
            arguments.out,
            shards=arguments.shards,
            skip_bad=arguments.skip_bad,
            jobs=arguments.jobs or os.cpu_count() or 1,
            progress=advance,
        )
    for line in report.lines():
        say(line)
    say(str(arguments.out))
