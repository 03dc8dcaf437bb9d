"""Find the media of a published dataset in a folder, and write the folder's `index.jsonl`."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sensemble_runtime.progress import Progress
from sensemble_sensors import durable
from sensemble_sensors.codecs.tracks import probe
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.splits import SPLITS, Groups

from sensemble_train.experiments.prepare.lists import LISTS, Clip

LEFT_OUT = "left-out.txt"
_SLACK = 1.0  # seconds by which a downloader's cut may be longer than the clip
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
    # Kinetics publishes videos in place of broken ones in a folder of their own.
    paths.sort(key=lambda path: not any("replacement" in part for part in path.parts))
    clips = list(LISTS[dataset]({path.name: path for path in reversed(paths)}))
    if not clips:
        raise BadDataError(
            f"{folder}: holds none of the lists of {dataset}; docs/reference/data.md names them"
        )
    media, titles = _by_name(paths, {clip.name for clip in clips})
    groups, ids = Groups(), dict[str, str]()
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


def _conflict(clip: Clip, ids: Mapping[str, str], groups: Groups) -> str:
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
    folder: Path, media: Mapping[str, list[_File]], titles: Mapping[str, Path], clip: Clip
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


def _media(folder: Path, files: Iterable[_File], clip: Clip) -> dict[str, Any]:
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


def _span(file: _File, clip: Clip) -> tuple[float, float]:
    """Return the begin and the end of a clip in a file, which holds the clip alone or the whole video."""
    seconds, length = probe(file.path).seconds, clip.end - clip.start
    if file.start is not None or seconds <= length + _SLACK:
        return 0.0, min(length, seconds)
    if seconds <= clip.start:
        raise BadDataError(f"{file.path}: lasts {seconds:g} s, and the clip begins at {clip.start:g} s")
    return clip.start, min(clip.end, seconds)
