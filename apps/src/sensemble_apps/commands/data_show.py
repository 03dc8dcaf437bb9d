"""`sensemble data show`: count what a dataset holds, and list its bad examples."""

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.media.decoding import check
from sensemble_sensors.media.splits import SPLITS

from sensemble_apps.arguments import Common, Folder, Positional
from sensemble_apps.console.estimates import in_words
from sensemble_apps.console.progress import progress


@dataclass(frozen=True, kw_only=True)
class DataShow(Common):
    """Count the examples, labels and modalities of a dataset, and list its bad lines."""

    folder: Positional[Folder]
    """A folder with `index.jsonl`."""
    check: bool = False
    """Also open every media file, and decode its beginning."""


def main(arguments: DataShow) -> None:
    """Print counts by split of modalities, labels and groups, then every bad line."""
    dataset = read_dataset(arguments.folder, skip_bad=True)
    console = Console()
    sets = Counter((example.split, subsets.name(example.modalities)) for example in dataset.examples)
    console.print(_table("Modalities", sets))
    every = set(dataset.modalities)
    missing = Counter((e.split, m) for e in dataset.examples for m in every - set(e.modalities))
    if missing:
        console.print(_table("Missing", missing))
    labels = Counter((e.split, label) for e in dataset.examples for label in _labels(e))
    console.print(_table("Labels", labels, bars=True))
    groups = Counter(
        (split, "groups") for split, _ in {(e.split, e.group) for e in dataset.examples if e.group}
    )
    if groups:
        groups += Counter((e.split, "examples without one") for e in dataset.examples if not e.group)
        console.print(_table("Groups", groups))
    try:
        _print_for_training(console, dataset)
    except ModuleNotFoundError:  # on a board
        console.print("What it is too small for: `pip install 'sensemble-apps[train]'` tells.", markup=False)
    for line in _selection(dataset):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    bad = [*dataset.skipped, *(_bad_media(dataset) if arguments.check else ())]
    for reason in bad:
        console.print(reason, style="yellow", markup=False, highlight=False, soft_wrap=True)
    good = len(dataset.examples) + len(dataset.skipped) - len(bad)
    console.print(f"{good} good examples, {len(bad)} bad lines", highlight=False)
    if arguments.check and bad:
        raise BadDataError(f"{arguments.folder}: {len(bad)} of {good + len(bad)} lines are bad; mend them")


def _print_for_training(console: Console, dataset: Dataset) -> None:
    """Print some captions (Table 4), how many name their labels, and what the dataset is too small for."""
    from sensemble_train.data.caption_labels import share_naming, some_captions
    from sensemble_train.data.sufficiency import shortages

    if drawn := some_captions(dataset.split("eval") or dataset.split("train")):
        table = Table("Text", "Labels", title="Captions, drawn at random", title_justify="left")
        for text, labels in drawn:
            table.add_row(escape(text), escape(", ".join(labels)))
        console.print(table)
    lines = []
    for split in SPLITS:
        naming = share_naming(dataset.split(split))
        if naming is not None:
            share = in_words(naming.accuracy, naming)
            lines.append(
                f"{split}: {share} of {naming.n} captions name their label (of AudioSet's titles, 25.5 %)"
            )
    for line in (*lines, *shortages(dataset)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _selection(dataset: Dataset) -> Iterator[str]:
    """Yield a line on the examples that models and schemes are chosen by, if the index has no calibrate."""
    chosen, train = len(dataset.split("calibrate")), len(dataset.split("train"))
    if dataset.drawn:
        yield f"calibrate is not in the index: {chosen} of the {train + chosen} examples of train make it"
    elif train and not chosen:
        yield (
            f"calibrate is not in the index, and the {train} examples of train are too few to make it: "
            "models and schemes are chosen on train itself; record or label some examples as calibrate"
        )


def _bad_media(dataset: Dataset) -> Iterator[str]:

    def reason(example: Example) -> str | None:
        try:
            check(example, dataset.declared)
        except BadDataError as error:
            return f"{dataset.folder / 'index.jsonl'}:{example.line}: {error}"
        return None

    with progress("Checking the media") as advance, ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, bad in enumerate(pool.map(reason, dataset.examples), start=1):
            advance(done, len(dataset.examples))
            if bad is not None:
                yield bad


def _labels(example: Example) -> tuple[str, ...]:
    return example.labels or (("(background)",) if example.background else ("(none)",))


def _table(title: str, counts: Counter[tuple[str, str]], *, bars: bool = False) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for split in SPLITS:
        table.add_column(split, justify="right")
    if bars:
        table.add_column("all", width=20)
    totals: Counter[str] = Counter()
    for (_, name), count in counts.items():
        totals[name] += count
    most = max(totals.values(), default=1)
    for name, total in sorted(totals.items(), key=lambda item: (-item[1] if bars else 0, item[0])):
        bar = [ProgressBar(most, total, width=20)] if bars else []
        table.add_row(name, *(str(counts[split, name]) for split in SPLITS), *bar)
    return table
