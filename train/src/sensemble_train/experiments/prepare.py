"""Published datasets (AudioSet, Kinetics-400, ImageNet-Captions) in the project's data format, without torch.

A list that a dataset publishes has a clip a line, whose media are found in a folder; then the folder's
`index.jsonl` is written. A bad line is a BadDataError that names it.
"""

import csv
import json
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sensemble_runtime.progress import Progress
from sensemble_sensors import durable
from sensemble_sensors.codecs.tracks import probe
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.splits import SPLITS, GroupSplits

Files = Mapping[str, Path]  # a folder's, at any depth, by name
_SEGMENTS = {
    "unbalanced_train_segments.csv": "pretrain",
    "balanced_train_segments.csv": "train",
    "eval_segments.csv": "eval",
}
_COLUMNS = "label", "youtube_id", "time_start", "time_end", "split"
LEFT_OUT = "left-out.txt"
_SLACK = 1.0  # seconds that a downloader's cut may be longer than the clip
_PICTURES = (".jpeg", ".jpg", ".png")
_MEDIA = (
    *_PICTURES,
    *(".mp4", ".mkv", ".webm", ".avi", ".mov", ".flv", ".3gp", ".m4v", ".mpg", ".mpeg", ".ts", ".ogv"),
    *(".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".aac"),
)
# Names of downloaders: ID, ID_30, ID_30.000_40.000, ID_30000_40000 (milliseconds), ID_000030_000040, YID.
_NAMES = (
    re.compile(r"(?P<name>n\d{8}_\d+|[\w-]{11})(?P<start>)", re.ASCII),
    re.compile(r"Y?(?P<name>[\w-]{11})[_.-](?P<start>\d+(?:\.\d+)?)(?:[_-]\d+(?:\.\d+)?)?", re.ASCII),
    re.compile(r"Y(?P<name>[\w-]{11})(?P<start>)", re.ASCII),
)


@dataclass(frozen=True, slots=True)
class Listed:
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


def audioset(files: Files) -> Iterator[Listed]:
    """Read AudioSet (Gemmeke et al., 2017): segment lists, the names of classes, and `titles.tsv`.

    The unbalanced set is for pretraining, the balanced one for training and the evaluation set for evaluation
    (the paper's App. B). The text is the video's title: a line of `titles.tsv` is an id, a tab and a title.
    """
    form = 'write ID, START, END, "LABELS"; class_labels_indices.csv or ontology.json has them'
    names, titles = _classes(files), dict(line.split("\t") for _, line in _lines(files, "titles.tsv"))
    for file, split in _SEGMENTS.items():
        for origin, line in _lines(files, file):
            if line.startswith("#"):
                continue
            with _reading(origin, form):
                (name, start, end, mids), *_ = csv.reader([line], skipinitialspace=True)
                labels = tuple(dict.fromkeys(names[mid] for mid in mids.split(",")))
                times = _times(start, end)
            yield Listed(name, split, labels, origin, *times, text=titles.get(name, ""))


def kinetics(files: Files) -> Iterator[Listed]:
    """Read Kinetics-400 (Kay et al., 2017): CSVs with label, youtube_id, time_start, time_end and split.

    The paper evaluates on the 40,000 videos of the test list (Sec. 5); the 20,000 of the validation list are
    used only without a labelled test list.
    """
    rows = [
        (f"{path}:{reader.line_num}", *(row[name] for name in _COLUMNS))
        for path in files.values()
        if path.suffix == ".csv"
        for reader in [csv.DictReader(path.read_text("utf-8", "replace").splitlines())]
        if set(_COLUMNS) <= set(reader.fieldnames or ())
        for row in reader
    ]
    evaluated = next((s for s in ("test", "validate", "val") if any(row[-1] == s for row in rows)), "")
    for origin, label, name, start, end, split in rows:
        if split in ("train", evaluated):
            with _reading(origin, "time_start and time_end are seconds"):
                times = _times(start, end)
            yield Listed(name, "train" if split == "train" else "eval", (label,), origin, *times)


def imagenet_captions(files: Files) -> Iterator[Listed]:
    """Read ImageNet-Captions (Fang et al., 2022): Flickr's captions of ILSVRC2012 training pictures.

    The text is title, tags and description. There is no published split: by a hash of the file's name, four
    fifths are for training, the rest for evaluation (Sec. 5 of the paper). Labels are all words of
    `LOC_synset_mapping.txt`, as first words are not unique; without it, WordNet ids.
    """
    listed = files.get("imagenet_captions.json")
    words = dict(line.split(" ", 1) for _, line in _lines(files, "LOC_synset_mapping.txt"))
    for number, entry in enumerate(json.loads(listed.read_text("utf-8")) if listed else (), start=1):
        origin = f"{listed}:[{number}]"  # the file is one line
        with _reading(origin, "an entry has filename, wnid, title, tags and description"):
            name, wnid = Path(entry["filename"]), entry["wnid"]
            text = " ".join(filter(None, (entry["title"], *entry["tags"], entry["description"])))
            label = words[wnid] if words else wnid
        split = "eval" if zlib.crc32(name.name.encode()) % 5 == 0 else "train"
        yield Listed(name.stem, split, (label,), origin, text=text)


LISTS = {"audioset": audioset, "kinetics": kinetics, "imagenet-captions": imagenet_captions}


def _classes(files: Files) -> dict[str, str]:
    """Return machine id -> display name, from the list of the 527 classes or else the whole ontology."""
    if table := files.get("class_labels_indices.csv"):
        rows = csv.DictReader(table.read_text("utf-8").splitlines())
        return {row["mid"]: row["display_name"] for row in rows}
    ontology = files.get("ontology.json")
    entries = json.loads(ontology.read_text("utf-8")) if ontology else ()
    return {entry["id"]: entry["name"] for entry in entries}


def _lines(files: Files, name: str) -> Iterator[tuple[str, str]]:
    """Yield ("FILE:LINE", line) of each line that is not blank, of a file that may be missing."""
    path = files.get(name)
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines() if path else (), start=1):
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


@dataclass(frozen=True, slots=True)
class _File:
    """A media file of a clip's name; `start` is the second at which it was cut, if the name says so."""

    path: Path
    start: float | None


def prepare(dataset: str, folder: Path, progress: Progress) -> list[str]:
    """Write the index of a published dataset whose lists and media are in `folder`, at any depth.

    Returns the counts of each split in words, as in the paper's App. B. `LEFT_OUT` gives the reason for each
    clip that is left out: its media is missing or unreadable, or its id or video is in another split. Raises
    BadDataError if there is an index, a list cannot be read, or no media is there.
    """
    index = folder / "index.jsonl"
    if index.exists():
        raise BadDataError(f"{index}: exists; remove it, or name another folder")
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    # Kinetics publishes videos in place of broken ones in a separate folder.
    paths.sort(key=lambda path: not any("replacement" in part for part in path.parts))
    clips = list(LISTS[dataset]({path.name: path for path in reversed(paths)}))
    if not clips:
        raise BadDataError(
            f"{folder}: holds none of the lists of {dataset}; docs/reference/data.md names them"
        )
    media, titles = _by_name(paths, {clip.name for clip in clips})
    groups, ids = GroupSplits(), dict[str, str]()
    lines, left_out = Counter[str](), list[str]()
    example = partial(_example, folder, media, titles)
    partial_index = index.with_suffix(".partial")
    with ThreadPoolExecutor() as pool, partial_index.open("w", encoding="utf-8") as file:
        for done, (clip, made) in enumerate(zip(clips, pool.map(example, clips), strict=True), start=1):
            progress(done, len(clips))
            reason = made if isinstance(made, str) else _conflict(clip, ids, groups)
            if reason:
                left_out.append(f"{clip.origin}: {clip.id}: {reason}\n")
                continue
            ids[clip.id] = clip.origin
            lines[clip.split] += 1
            file.write(json.dumps(made, ensure_ascii=False) + "\n")
    durable.write(folder / LEFT_OUT, "".join(left_out).encode())
    if not lines:
        partial_index.unlink()
        raise BadDataError(
            f"{folder}: has no media of the {len(clips)} clips; the first is {left_out[0].strip()}"
        )
    partial_index.replace(index)
    listed = Counter(clip.split for clip in clips)
    return [
        f"{split}: {lines[split]:,} of {listed[split]:,} ({lines[split] / listed[split]:.1%})"
        for split in SPLITS
        if split in listed
    ]


def _conflict(clip: Listed, ids: Mapping[str, str], groups: GroupSplits) -> str:
    """Return the conflict of a clip with the earlier ones; empty if there is none."""
    if clip.id in ids:
        return f"is listed at {ids[clip.id]}, too"
    try:
        groups.add(clip.name, clip.split, clip.origin)
    except BadDataError as error:
        return str(error)
    return ""


def _by_name(paths: Iterable[Path], wanted: set[str]) -> tuple[Mapping[str, list[_File]], dict[str, Path]]:
    """Return the media files, and yt-dlp's descriptions (`ID.info.json`), of the `wanted` names."""
    media: Mapping[str, list[_File]] = defaultdict(list)
    titles: dict[str, Path] = {}
    for path in paths:
        if path.name.endswith(".info.json"):
            titles[path.name.removesuffix(".info.json")] = path
        elif path.suffix.lower() in _MEDIA:
            # A name may be read in several ways; only a wanted one counts.
            matches = (pattern.fullmatch(path.stem) for pattern in _NAMES)
            for match in islice((m for m in matches if m and m["name"] in wanted), 1):
                media[match["name"]].append(_File(path, float(match["start"]) if match["start"] else None))
    return media, titles


def _example(
    folder: Path, media: Mapping[str, list[_File]], titles: Mapping[str, Path], clip: Listed
) -> dict[str, Any] | str:
    """Return the line of a clip, or the reason why there is none."""
    try:
        line = _media(folder, media.get(clip.name, ()), clip)
        text = clip.text
        if not text and clip.name in titles:
            text = json.loads(titles[clip.name].read_text("utf-8"))["title"]
    except (BadDataError, OSError, ValueError, KeyError) as error:
        return str(error)
    if not line:
        return "its media is not here"
    if text.strip():
        line.update(text=" ".join(text.split()))
    return {"id": clip.id, "split": clip.split, "labels": clip.labels} | line


def _media(folder: Path, files: Iterable[_File], clip: Listed) -> dict[str, Any]:
    """Return the fields of a clip's media, of the first file that has each; none where there are no files."""
    at = (None, clip.start, round(clip.start * 1000), int(clip.start))
    fit = sorted((file for file in files if file.start in at), key=lambda file: file.start is None)
    places = [file.path.relative_to(folder).as_posix() for file in fit]
    if not clip.end:
        return {"image": places[0]} if places else {}
    fields: dict[str, Any] = {}
    spans = set[tuple[float, float]]()
    for file, place in zip(fit, places, strict=True):  # those that name the clip come first
        if len(fields) > 1:
            break
        for modality in probe(file.path).modalities:
            if modality not in fields:
                fields[modality] = place
                spans.add(_span(file, clip))
    if len({start for start, _ in spans}) > 1:
        raise BadDataError("one of its files is cut to the clip and another is not")
    if not spans:
        return {}
    return fields | {"group": clip.name, "start": min(spans)[0], "end": round(min(e for _, e in spans), 3)}


def _span(file: _File, clip: Listed) -> tuple[float, float]:
    """Return the begin and the end of a clip in a file, which holds the clip alone or the whole video."""
    seconds, length = probe(file.path).seconds, clip.end - clip.start
    if file.start is not None or seconds <= length + _SLACK:
        return 0.0, min(length, seconds)
    if seconds <= clip.start:
        raise BadDataError(f"{file.path}: lasts {seconds:g} s, and the clip begins at {clip.start:g} s")
    return clip.start, min(clip.end, seconds)
