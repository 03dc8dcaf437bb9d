"""The arguments of the commands on datasets: `data build`, `prepare`, `show` and `split`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional

from sensemble_apps.arguments import Common, Folder, OptionalFile, Seed, optional


@dataclass(frozen=True, kw_only=True)
class DataBuild(Common):
    """Build the embedded digits dataset, unless it exists, and print its folder."""

    seed: Seed = 0
    """The seed of the people, the splits and every rendering."""


@dataclass(frozen=True, kw_only=True)
class DataPrepare(Common):
    """Convert a published dataset to Sensemble's format, and count what is missing."""

    dataset: Positional[Literal["audioset", "kinetics", "imagenet-captions"]]
    """The dataset."""
    source: Positional[Folder]
    """The folder with its lists and, at any depth, its media."""
    out: Positional[Folder]
    """The folder to write: another one on the same disk, or SOURCE itself; an interrupted run continues."""
    shards: Annotated[int | None, optional("N")] = None
    """Write WebDataset shards of up to N examples, their segments cut out, instead of links to the files."""
    skip_bad: bool = False
    """Leave bad examples out and list them in `bad.txt`, instead of failing."""
    jobs: Annotated[int | None, optional("N")] = None
    """The number of processes; by default, one per core."""


@dataclass(frozen=True, kw_only=True)
class DataShow(Common):
    """Count the examples, labels and modalities of a dataset, and list its bad lines."""

    folder: Positional[Folder]
    """A folder with `index.jsonl`."""
    check: bool = False
    """Also open every media file, and decode its beginning."""
    sheet: OptionalFile = None
    """Draw some examples of each split on this page (.html): frames, sound and caption."""


@dataclass(frozen=True, kw_only=True)
class DataSplit(Common):
    """Hold out a third of each class, in whole groups, for selection (calibrate) and reporting (eval)."""

    folder: Positional[Folder]
    """A folder with `index.jsonl`, which is changed."""
    by: Literal["group"] = "group"
    """The examples that stay together: those of one group, such as a take."""
    seed: Annotated[int | None, optional("N")] = None
    """Draw all anew by this seed; by default, what is held out stays so, and only the rest is drawn."""
    dry_run: bool = False
    """Only show the division."""
