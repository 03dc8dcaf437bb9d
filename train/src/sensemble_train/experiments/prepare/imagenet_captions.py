"""ImageNet-Captions (Fang et al., 2022): Flickr's captions of ILSVRC2012 training pictures.

The text is title, tags and description, in this order. There is no published split: by a hash of the file's
name, four fifths are for training and the rest for evaluation (Sec. 5 of the paper).
"""

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from sensemble_sensors.errors import BadDataError

from sensemble_train.experiments.prepare.survey import Row, Survey, collect, entries, files, garbled

CAPTIONS, SYNSETS = "imagenet_captions.json", "LOC_synset_mapping.txt"
_FIELDS = ("filename", "wnid", "title", "description", "tags")


def survey(source: Path, out: Path) -> Survey:
    """Look for ImageNet-Captions in `source`, but not in `out`.

    Anywhere in `source`: `imagenet_captions.json`, the pictures (`n01440764_10026.JPEG`), and, for labels in
    words, ImageNet's `LOC_synset_mapping.txt`; without it, the labels are the WordNet ids.

    Raises:
        BadDataError: there are no captions, or they are not a JSON list.
    """
    paths = list(files(source, out))
    named = {path.name: path for path in reversed(paths)}
    if CAPTIONS not in named:
        raise BadDataError(f"{source}: holds no {CAPTIONS}; ImageNet-Captions' repository has it")
    synsets: dict[str, str] | None = None
    bad: list[str] = []
    if SYNSETS in named:
        synsets, bad = _synsets(named[SYNSETS])
    return collect("imagenet-captions", source, [*bad, *_rows(named[CAPTIONS], named, synsets)])


def _rows(captions: Path, named: dict[str, Path], synsets: dict[str, str] | None) -> Iterator[Row | str]:
    try:
        entries = json.loads(captions.read_text("utf-8"))
    except ValueError as error:
        raise BadDataError(f"{captions}: is not JSON ({error})") from error
    if not isinstance(entries, list):
        raise BadDataError(f"{captions}: must be one JSON list of captions")
    for number, entry in enumerate(entries, start=1):
        # The file is one line, so an entry is found by its number in the list.
        origin = f"{captions}:[{number}]"
        if not isinstance(entry, dict) or not set(_FIELDS) <= set(entry):
            yield f"{origin}: is not an object with {', '.join(_FIELDS)}"
            continue
        filename, wnid = str(entry["filename"]), str(entry["wnid"])
        if not filename.startswith(f"{wnid}_") or Path(filename).name != filename:
            yield f"{origin}: filename {filename!r} is not a picture of {wnid!r}"
        elif synsets is not None and wnid not in synsets:
            yield f"{origin}: wnid {wnid!r} is not in {SYNSETS}"
        else:
            label = synsets[wnid] if synsets else wnid
            split = "eval" if zlib.crc32(filename.encode()) % 5 == 0 else "train"
            stem = Path(filename).stem
            yield Row(stem, split, (label,), origin, text=_caption(entry), image=named.get(filename))


def _caption(entry: dict[str, object]) -> str:
    tags = entry["tags"] if isinstance(entry["tags"], list) else []
    return " ".join(str(part) for part in (entry["title"], *tags, entry["description"]) if part)


def _synsets(path: Path) -> tuple[dict[str, str], list[str]]:
    """Read `n01440764 tench, Tinca tinca` lines; all words are the label, for first words are not unique.

    Returns:
        WordNet id -> label, and "FILE:LINE: reason" of each bad line.
    """
    synsets, bad = {}, []
    with entries(path) as file:
        for number, line in enumerate(file, start=1):
            wnid, _, gloss = line.rstrip().partition(" ")
            if garbled(line):
                bad.append(f"{path}:{number}: is not in UTF-8")
            elif gloss:
                synsets[wnid] = gloss
    return synsets, bad
