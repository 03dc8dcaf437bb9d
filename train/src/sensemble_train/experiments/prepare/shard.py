"""A WebDataset shard: a tar of samples, with the offset of each media file."""

import json
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from sensemble_sensors.codecs import shards
from sensemble_sensors.errors import BadDataError

from sensemble_train.experiments.prepare.cut import cut
from sensemble_train.experiments.prepare.inspection import Example


class Sample(NamedTuple):
    """An example with its media in memory."""

    fields: dict[str, object]  # as in `Example`; start and end are positions in the media held here
    names: dict[str, str]  # `video`, `audio` or `image` -> the extension of its file
    files: dict[str, bytes]  # extension -> content


def sample(example: Example) -> Sample:
    """Read the media of an example; from one longer file, only the example is cut out.

    Raises:
        BadDataError: a file cannot be read or cut.
    """
    found = Sample(dict(example.fields), {}, {})
    paths = list(dict.fromkeys(example.media.values()))
    for path in paths:
        kinds = [kind for kind, file in example.media.items() if file == path]
        extension = path.suffix.lower().removeprefix(".")
        if example.longer and len(paths) == 1:
            extension = "mkv" if "video" in kinds else "mka"
            start, end = (float(str(found.fields[name])) for name in ("start", "end"))
            found.files[extension], moved = cut(path, start, end)
            found.fields.update(start=round(moved, 6), end=round(moved + end - start, 6))
        else:
            try:
                found.files[extension] = path.read_bytes()
            except OSError as error:
                raise BadDataError(f"{path}: cannot be read ({error.strerror})") from error
        found.names.update(dict.fromkeys(kinds, extension))
    return found


def write_shard(path: Path, samples: Iterable[Sample]) -> list[dict[str, object]]:
    """Write a tar, which appears only when it is complete, and not without samples.

    The key of a sample is the example's id; `json` has its fields, and names media by extension.

    Returns:
        The line of each sample for the `index.jsonl` in the same folder, which finds media by its offset.
    """
    partial = path.with_name(path.name + ".partial")
    lines: list[dict[str, object]] = []
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        for fields, names, files in samples:
            text = json.dumps(fields | names, ensure_ascii=False).encode()
            places = {}
            for extension, content in {"json": text, **files}.items():
                entry = tarfile.TarInfo(f"{fields['id']}.{extension}")
                entry.size = len(content)
                place = tar.offset + tarfile.BLOCKSIZE  # behind its header, of one block in this format
                places[extension] = shards.member(path.name, place, entry.size)
                tar.addfile(entry, BytesIO(content))
            lines.append(fields | {kind: places[extension] for kind, extension in names.items()})
    if lines:
        partial.replace(path)
    else:
        partial.unlink()
        path.unlink(missing_ok=True)  # from an earlier run that had samples
    return lines
