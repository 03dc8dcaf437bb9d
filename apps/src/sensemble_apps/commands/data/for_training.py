"""The part of `sensemble data show` that needs training to be installed."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sensemble_sensors.media.dataset import Dataset
from sensemble_sensors.media.splits import SPLITS
from sensemble_train.data.caption_labels import share_naming, some_captions
from sensemble_train.data.sufficiency import shortages

from sensemble_apps.console.estimates import in_words


def print_for_training(console: Console, dataset: Dataset) -> None:
    """Print some captions, how many name their labels, and what the dataset is too small for."""
    if drawn := some_captions(dataset.split("eval") or dataset.split("train")):
        console.print(_captions(drawn))
    for line in (*_naming(dataset), *shortages(dataset)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _naming(dataset: Dataset) -> Iterator[str]:
    for split in SPLITS:
        found = share_naming(dataset.split(split))
        if found is not None:
            share = in_words(found.accuracy, found)
            yield f"{split}: {share} of {found.n} captions name their label (of AudioSet's titles, 25.5 %)"


def _captions(drawn: Sequence[tuple[str, tuple[str, ...]]]) -> Table:
    table = Table("Text", "Labels", title="Captions, drawn at random", title_justify="left")
    for text, labels in drawn:
        table.add_row(escape(text), escape(", ".join(labels)))
    return table
