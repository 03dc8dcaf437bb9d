"""A WebDataset shard: a tar of samples, with the offset of each media file."""

import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from sensemble_sensors.codecs import shards
from sensemble_sensors.errors import BadDataError

from sensemble_train.experiments.prepare.cut import cut
from sensemble_train.experiments.prepare.inspection import Example


@dataclass(frozen=True, slots=True)
class Sample:
    """An example with its media in memory.

    Attributes:
        fields: as in `Example`; start and end are positions in the media held here.
        names: `video`, `audio` or `image` -> the extension of its file.
        files: extension -> content.
    """

    fields: dict[str, object]
    names: dict[str, str]
    files: dict[str, bytes]


def sample(example: Example) -> Sample:
    """Read the media of an example; from one longer file, only the example is cut out.

    Raises:
        BadDataError: a file cannot be read or cut.
    """
    fields = dict(example.fields)
    names: dict[str, str] = {}
    files: dict[str, bytes] = {}
    paths = list(dict.fromkeys(example.media.values()))
    for path in paths:
        kinds = [kind for kind, file in example.media.items() if file == path]
        extension = path.suffix.lower().removeprefix(".")
        if example.longer and len(paths) == 1:
            extension = "mkv" if "video" in kinds else "mka"
            start, end = float(str(fields["start"])), float(str(fields["end"]))
            files[extension], moved = cut(path, start, end)
            fields |= {"start": round(moved, 6), "end": round(moved + end - start, 6)}
        else:
            try:
                files[extension] = path.read_bytes()
            except OSError as error:
                raise BadDataError(f"{path}: cannot be read ({error.strerror})") from error
        names |= dict.fromkeys(kinds, extension)
    return Sample(fields, names, files)


def write_shard(path: Path, samples: Iterable[Sample]) -> list[dict[str, object]]:
    """Write a tar, which appears only when it is complete, and not without samples.

    The key of a sample is the example's id; `json` has its fields, and names media by extension.

    Returns:
        The line of each sample for the `index.jsonl` in the same folder, which finds media by its offset.
    """
    partial = path.with_name(path.name + ".partial")
    written: list[Sample] = []
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        for each in samples:
            text = json.dumps(each.fields | each.names, ensure_ascii=False).encode()
            for extension, content in {"json": text, **each.files}.items():
                entry = tarfile.TarInfo(f"{each.fields['id']}.{extension}")
                entry.size = len(content)
                tar.addfile(entry, BytesIO(content))
            written.append(Sample(each.fields, each.names, {}))  # the content is not needed again
    if not written:
        partial.unlink()
        path.unlink(missing_ok=True)  # from an earlier run that had samples
        return []
    with tarfile.open(partial) as tar:
        inside = {entry.name: (entry.offset_data, entry.size) for entry in tar}
    partial.replace(path)
    return [
        done.fields
        | {
            kind: shards.member(path.name, *inside[f"{done.fields['id']}.{extension}"])
            for kind, extension in done.names.items()
        }
        for done in written
    ]
