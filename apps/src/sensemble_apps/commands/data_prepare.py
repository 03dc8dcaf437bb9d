"""`sensemble data prepare`: make a dataset of what somebody published."""

from dataclasses import dataclass
from typing import Literal

from sensemble_apps.arguments import Common, Folder, Positional
from sensemble_apps.console.output import check_writable, say
from sensemble_apps.console.progress import progress
from sensemble_apps.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DataPrepare(Common):
    """Write the index of a published dataset beside its lists and media, and count what is missing."""

    dataset: Positional[Literal["audioset", "kinetics", "imagenet-captions"]]
    """The dataset."""
    folder: Positional[Folder]
    """The folder with its lists and, at any depth, its media; `index.jsonl` is written there."""


def main(arguments: DataPrepare) -> None:
    """Write the index, and print how many clips of each split are in it."""
    folder = arguments.folder
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give the one that holds {arguments.dataset}")
    check_writable(folder)
    from sensemble_train.experiments.prepare.index import LEFT_OUT, prepare

    with progress("Looking into the media") as advance:
        counts = prepare(arguments.dataset, folder, advance)
    for line in (*counts, f"{folder / LEFT_OUT} says why the others are not in it"):
        say(line)
