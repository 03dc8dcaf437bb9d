"""Kinetics-400 (Kay et al., 2017): its CSV files, and videos by YouTube id and start.

The paper evaluates on 40,000 videos (Sec. 5), the size of the test list; the 20,000 of the validation list
are used only if there is no labelled test list.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from sensemble_sensors.errors import BadDataError

from sensemble_train.experiments.prepare.survey import Row, Survey, collect, entries, files, garbled
from sensemble_train.experiments.prepare.youtube import Downloads

_COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
_EVAL = ("test", "validate", "val")


def survey(source: Path, out: Path) -> Survey:
    """Look for Kinetics-400 in `source`, but not in `out`.

    Anywhere in `source`: CSV files with the columns label, youtube_id, time_start, time_end and split (train,
    validate or val, test), and videos named ID_000010_000020 or ID, in any folder. Videos under a folder
    `replacement`, which are published in place of broken ones, go first.

    Raises:
        BadDataError: there is no such CSV file, or no training list.
    """
    paths = list(files(source, out))
    listed = [entry for path in paths if path.suffix == ".csv" for entry in _listed(path)]
    splits = {fields["split"] for _, fields in listed}
    evaluated = next((split for split in _EVAL if split in splits), None)
    classes = {fields["label"] for _, fields in listed if fields["split"] == "train"}
    if not classes:
        raise BadDataError(
            f"{source}: holds no CSV of training videos, with {', '.join(_COLUMNS)} for columns"
        )
    paths.sort(key=lambda path: not any("replacement" in part for part in path.parts))
    downloads = Downloads(paths, {fields["youtube_id"] for _, fields in listed})
    used = ((origin, fields) for origin, fields in listed if fields["split"] in ("train", evaluated))
    rows = (_row(origin, fields, classes, downloads) for origin, fields in used)
    unused = ", ".join(sorted(splits - {"train", evaluated})) or "nothing"
    return collect("kinetics", source, rows, f"eval is the list {evaluated!r}; left out: {unused}")


def _listed(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield ("FILE:LINE", fields) of a list of videos; nothing of another CSV or of one without labels."""
    with entries(path) as file:
        reader = csv.DictReader(file)
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            return
        for fields in reader:
            yield f"{path}:{reader.line_num}", {name: fields[name] or "" for name in _COLUMNS}


def _row(origin: str, fields: dict[str, str], classes: set[str], downloads: Downloads) -> Row | str:
    label, name = fields["label"], fields["youtube_id"]
    if garbled("".join(fields.values())):
        return f"{origin}: is not in UTF-8"
    try:
        start, end = float(fields["time_start"]), float(fields["time_end"])
    except ValueError:
        return f"{origin}: time_start and time_end must be seconds"
    if len(name) != 11:
        return f"{origin}: {name!r} is not the id of a video"
    if not 0 <= start < end:
        return f"{origin}: lasts no time, from {start:g} s to {end:g} s"
    if label not in classes:
        return f"{origin}: label {label!r} is none of the {len(classes)} of the training list"
    found = downloads.find(name, start)
    return Row(
        f"{name}_{round(start * 1000)}",
        "train" if fields["split"] == "train" else "eval",
        (label,),
        origin,
        video=found.video,
        start=start,
        end=end,
        trimmed=found.trimmed,
        group=name,
    )
