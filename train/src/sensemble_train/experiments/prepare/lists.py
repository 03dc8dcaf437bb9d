"""The lists of published datasets: a clip for each line. A bad line is a BadDataError that names it."""

import csv
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sensemble_sensors.errors import BadDataError

Files = Mapping[str, Path]  # a folder's, at any depth, by name


@dataclass(frozen=True, slots=True)
class Clip:
    """A listed example."""

    name: str  # of its media: the id of a video on YouTube, or the stem of a picture's file
    split: str
    labels: tuple[str, ...]
    origin: str  # "FILE:LINE" that lists it
    start: float = 0.0  # seconds in the published video; 0 for a picture
    end: float = 0.0  # likewise
    text: str = ""  # its caption

    @property
    def id(self) -> str:
        """The id of its example, with the millisecond of a video."""
        return f"{self.name}_{round(self.start * 1000)}" if self.end else self.name


def audioset(files: Files) -> Iterator[Clip]:
    """Read AudioSet (Gemmeke et al., 2017): segment lists, the names of classes, and `titles.tsv`.

    The unbalanced set is for pretraining, the balanced one for training and the evaluation set for evaluation
    (the paper's App. B). The text is the video's title: a line of `titles.tsv` is an id, a tab and a title.
    """
    lists = {
        "unbalanced_train_segments.csv": "pretrain",
        "balanced_train_segments.csv": "train",
        "eval_segments.csv": "eval",
    }
    names = _classes(files)
    titles = (
        dict(line.split("\t") for _, line in _lines(files["titles.tsv"])) if "titles.tsv" in files else {}
    )
    for file, split in ((name, split) for name, split in lists.items() if name in files):
        for origin, line in _lines(files[file]):
            if not line.startswith("#"):
                with _reading(
                    origin,
                    'write ID, START, END, "LABELS"; class_labels_indices.csv or ontology.json has them',
                ):
                    (name, start, end, mids), *_ = csv.reader([line], skipinitialspace=True)
                    labels = tuple(dict.fromkeys(names[mid] for mid in mids.split(",")))
                    times = _times(start, end)
                yield Clip(name, split, labels, origin, *times, text=titles.get(name, ""))


def kinetics(files: Files) -> Iterator[Clip]:
    """Read Kinetics-400 (Kay et al., 2017): CSVs with label, youtube_id, time_start, time_end and split.

    The paper evaluates on the 40,000 videos of the test list (Sec. 5); the 20,000 of the validation list are
    used only without a labelled test list.
    """
    columns = ("label", "youtube_id", "time_start", "time_end", "split")
    rows = [
        (f"{path}:{reader.line_num}", *(row[name] for name in columns))
        for path in files.values()
        if path.suffix == ".csv"
        for reader in [csv.DictReader(path.read_text("utf-8", "replace").splitlines())]
        if set(columns) <= set(reader.fieldnames or ())
        for row in reader
    ]
    evaluated = next((s for s in ("test", "validate", "val") if any(row[-1] == s for row in rows)), "")
    for origin, label, name, start, end, split in rows:
        if split in ("train", evaluated):
            with _reading(origin, "time_start and time_end are seconds"):
                times = _times(start, end)
            yield Clip(name, "train" if split == "train" else "eval", (label,), origin, *times)


def imagenet_captions(files: Files) -> Iterator[Clip]:
    """Read ImageNet-Captions (Fang et al., 2022): Flickr's captions of ILSVRC2012 training pictures.

    The text is title, tags and description. There is no published split: by a hash of the file's name, four
    fifths are for training, the rest for evaluation (Sec. 5 of the paper). Labels are all words of
    `LOC_synset_mapping.txt`, as first words are not unique; without it, WordNet ids.
    """
    listed = files.get("imagenet_captions.json")
    synsets = files.get("LOC_synset_mapping.txt")
    words = dict(line.split(" ", 1) for _, line in _lines(synsets)) if synsets else {}
    for number, entry in enumerate(json.loads(listed.read_text("utf-8")) if listed else (), start=1):
        origin = f"{listed}:[{number}]"  # the file is one line
        with _reading(origin, "an entry has filename, wnid, title, tags and description"):
            name, wnid = Path(entry["filename"]), entry["wnid"]
            text = " ".join(filter(None, (entry["title"], *entry["tags"], entry["description"])))
            label = words[wnid] if words else wnid
        split = "eval" if zlib.crc32(name.name.encode()) % 5 == 0 else "train"
        yield Clip(name.stem, split, (label,), origin, text=text)


LISTS = {"audioset": audioset, "kinetics": kinetics, "imagenet-captions": imagenet_captions}


def _classes(files: Files) -> dict[str, str]:
    """Return machine id -> display name, from the list of the 527 classes or else the whole ontology."""
    table, ontology = files.get("class_labels_indices.csv"), files.get("ontology.json")
    if table is not None:
        rows = csv.DictReader(table.read_text("utf-8").splitlines())
        return {row["mid"]: row["display_name"] for row in rows}
    if ontology is not None:
        return {entry["id"]: entry["name"] for entry in json.loads(ontology.read_text("utf-8"))}
    return {}


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ("FILE:LINE", line) of each line that is not blank."""
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1):
        if line.strip():
            yield f"{path}:{number}", line


def _times(start: str, end: str) -> tuple[float, float]:
    first, last = float(start), float(end)
    if not 0 <= first < last:
        raise ValueError(f"lasts no time, from {first:g} s to {last:g} s")
    return first, last


@contextmanager
def _reading(origin: str, form: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise BadDataError(f"{origin}: cannot be read ({error}); {form}") from error
