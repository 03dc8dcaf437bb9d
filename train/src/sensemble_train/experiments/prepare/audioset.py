"""AudioSet (Gemmeke et al., 2017): segment lists, ontology, and media by YouTube id.

The unbalanced set is for pretraining, the balanced one for training and the evaluation set for evaluation
(the paper's App. B). The text is the video's title.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sensemble_sensors.errors import BadDataError

from sensemble_train.experiments.prepare.survey import Row, Survey, collect, entries, files, garbled
from sensemble_train.experiments.prepare.youtube import Downloads

SEGMENTS = {
    "unbalanced_train_segments.csv": "pretrain",
    "balanced_train_segments.csv": "train",
    "eval_segments.csv": "eval",
}
ONTOLOGY, LABELS, TITLES = "ontology.json", "class_labels_indices.csv", ("titles.tsv", "titles.json")


def survey(source: Path, out: Path) -> Survey:
    """Look for AudioSet in `source`, but not in `out`.

    Anywhere in `source`: the published segment lists (any of the three), `class_labels_indices.csv` or
    `ontology.json`, media named by the video's id, and, for captions, `titles.tsv` (id, tab, title),
    `titles.json` ({id: title}) or yt-dlp's `ID.info.json`.

    Raises:
        BadDataError: there is no segment list or no list of classes, or one cannot be read.
    """
    paths = list(files(source, out))
    named = {path.name: path for path in reversed(paths)}
    lists = {named[name]: split for name, split in SEGMENTS.items() if name in named}
    if not lists:
        raise BadDataError(f"{source}: holds none of {', '.join(SEGMENTS)}; AudioSet's page has them")
    names = _names(source, named)
    found = list(_titles(named))
    titles = dict(title for title in found if not isinstance(title, str))
    bad = [title for title in found if isinstance(title, str)]
    segments = [row for path, split in lists.items() for row in _segments(path, split, names)]
    wanted = {row.id[:11] for row in segments if isinstance(row, Row)}
    downloads = Downloads(paths, wanted)
    return collect("audioset", source, [*bad, *(_located(row, downloads, titles) for row in segments)])


def _located(row: Row | str, downloads: Downloads, titles: dict[str, str]) -> Row | str:
    if isinstance(row, str):
        return row
    name = row.id[:11]
    return replace(row, text=titles.get(name), **downloads.find(name, row.start or 0.0)._asdict())


def _segments(path: Path, split: str, names: dict[str, str]) -> Iterator[Row | str]:
    """Read `YTID, start, end, "mid,mid"` lines; comments begin with `#`."""
    with entries(path) as file:
        for number, line in enumerate(file, start=1):
            if line.startswith("#") or not line.strip():
                continue
            origin = f"{path}:{number}"
            if garbled(line):
                yield f"{origin}: is not in UTF-8"
                continue
            try:
                name, begin, finish, listed = next(csv.reader([line], skipinitialspace=True))
                start, end = float(begin), float(finish)
            except ValueError:
                yield f"{origin}: is not an id, a start, an end and labels in quotes"
                continue
            mids = listed.split(",")
            unknown = next((mid for mid in mids if mid not in names), None)
            if len(name) != 11:
                yield f"{origin}: {name!r} is not the id of a video"
            elif not 0 <= start < end:
                yield f"{origin}: lasts no time, from {start:g} s to {end:g} s"
            elif unknown is not None:
                yield f"{origin}: label {unknown!r} is not in the ontology"
            else:
                labels = tuple(dict.fromkeys(names[mid] for mid in mids))
                segment = f"{name}_{round(start * 1000)}"
                yield Row(segment, split, labels, origin, start=start, end=end, group=name)


def _names(source: Path, named: dict[str, Path]) -> dict[str, str]:
    """Return machine id -> display name, from the list of the 527 classes or else the whole ontology."""
    path = named.get(LABELS) or named.get(ONTOLOGY)
    if path is None:
        raise BadDataError(f"{source}: holds neither {LABELS} nor {ONTOLOGY}, which name the classes")
    try:
        if path.name == LABELS:
            with entries(path) as file:
                reader = csv.DictReader(file)
                names = {}
                for row in reader:
                    if garbled(row["display_name"]):
                        raise BadDataError(f"{path}:{reader.line_num}: is not in UTF-8")
                    names[row["mid"]] = row["display_name"]
        else:
            names = {entry["id"]: entry["name"] for entry in json.loads(path.read_text("utf-8"))}
    except (KeyError, TypeError, ValueError) as error:
        raise BadDataError(f"{path}: is not AudioSet's list of classes ({error})") from error
    if len(set(names.values())) < len(names):
        raise BadDataError(f"{path}: two classes have the same name; labels must differ")
    return names


def _titles(named: dict[str, Path]) -> Iterator[tuple[str, str] | str]:
    """Yield (id, title), or "FILE:LINE: reason" of a bad one."""
    table, listing = (named.get(name) for name in TITLES)
    if table is not None:
        with entries(table) as file:
            for number, line in enumerate(file, start=1):
                key, tab, title = line.partition("\t")
                if garbled(line):
                    yield f"{table}:{number}: is not in UTF-8"
                elif not tab:
                    yield f"{table}:{number}: is not an id, a tab and a title"
                else:
                    yield key, title
    if listing is not None:
        try:
            titles = json.loads(listing.read_text("utf-8")).items()
        except (AttributeError, ValueError) as error:
            raise BadDataError(f"{listing}: is not one JSON object of titles by id ({error})") from error
        yield from ((str(key), str(title)) for key, title in titles)
