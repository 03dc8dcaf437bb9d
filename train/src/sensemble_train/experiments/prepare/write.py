"""Write a survey as a dataset: in parallel, in parts that a killed run need not repeat."""

import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from sensemble_runtime.progress import Progress
from sensemble_sensors import durable
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.splits import SPLITS

from sensemble_train.experiments.prepare.inspection import Example, inspect
from sensemble_train.experiments.prepare.shard import sample, write_shard
from sensemble_train.experiments.prepare.survey import Row, Survey, fingerprint

Good = TypeVar("Good")
PART = 500
"""Examples in a part, without shards: a killed run repeats at most these, for each job."""
PARTS = ".parts"
"""The folder of the results of parts. It stays, so that a later run does only the parts that changed."""


@dataclass(frozen=True, slots=True)
class Report:
    """The counts of a prepared dataset, which `prepared.json` holds too.

    Attributes:
        listed: split -> examples that the dataset lists.
        here: split -> examples with media on this disk.
        written: split -> examples in the index.
        bad: "FILE:LINE: reason" of each example that has media but is left out.
    """

    listed: dict[str, int]
    here: dict[str, int]
    written: dict[str, int]
    bad: tuple[str, ...]
    note: str

    def lines(self) -> list[str]:
        """Return the counts as lines of text, as in the paper's App. B."""
        splits = [split for split in SPLITS if split in self.listed]
        shares = ((split, self.here.get(split, 0), self.listed[split]) for split in splits)
        lines = [
            f"{split}: {count:,} of {total:,} ({count / total:.1%}) here" for split, count, total in shares
        ]
        lines += [f"{split}: {self.written.get(split, 0):,} written" for split in splits]
        lines.append(f"{len(self.bad):,} bad")
        return lines + ([self.note] if self.note else [])


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the list: its result is a file of the lines of the index and the reasons of bad rows."""

    name: str
    rows: tuple[Row, ...]
    fingerprint: str
    out: Path
    shards: bool
    inside: bool  # the media is in `out` already

    @property
    def path(self) -> Path:
        return self.out / PARTS / f"{self.name}.json"

    def result(self) -> dict[str, Any]:
        """Return `lines` and `bad` of this part as it is now; nothing if it is not done."""
        found: dict[str, Any] = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
        return found if found.get("fingerprint") == self.fingerprint else {}

    def work(self) -> None:
        """Do it; an earlier result is removed first, and the new one appears when the part is complete."""
        self.path.unlink(missing_ok=True)
        bad: list[str] = []

        def good(prepare: Callable[[Row], Good]) -> Iterator[Good]:
            for row in self.rows:
                try:
                    yield prepare(row)
                except BadDataError as error:
                    bad.append(f"{row.origin}: {error}")

        if self.shards:
            made = write_shard(self.out / f"{self.name}.tar", good(lambda row: sample(inspect(row))))
        else:
            made = list(good(lambda row: _link(inspect(row), self.out, inside=self.inside)))
        lines = [json.dumps(line, ensure_ascii=False) for line in made]
        result = {"fingerprint": self.fingerprint, "lines": lines, "bad": bad}
        durable.write(self.path, json.dumps(result).encode())


def write(
    survey: Survey, out: Path, *, shards: int | None, skip_bad: bool, jobs: int, progress: Progress
) -> Report:
    """Write the examples of `survey` into `out`: `index.jsonl`, and media or shards.

    Without shards, media files are hard links, which take no space; if `out` is the source or a folder around
    it, the index names files where they are. `missing.txt` and `bad.txt` list examples that are not in it.
    In a dataset that exists already, only parts with changes are done again, and without `skip_bad` those
    with bad examples, which may be mended.

    Args:
        out: folder of the dataset; an unfinished run in it is continued.
        shards: listed examples per WebDataset shard, which holds those with media; None for plain files.
        skip_bad: leave bad examples out, instead of raising after all were inspected.
        jobs: threads; FFmpeg works beside Python.

    Raises:
        BadDataError: there are bad examples, or no good ones; or `out` holds something else, or is on another
            disk than the source.
    """
    _claim(out, {"dataset": survey.dataset, "shards": shards})
    parts = list(_parts(survey, out, shards))
    results = ((part, part.result()) for part in parts)
    todo = [part for part, found in results if not found or (found["bad"] and not skip_bad)]
    if todo:  # an earlier index would find other media in the new shards
        for name in ("index.jsonl", "prepared.json"):
            (out / name).unlink(missing_ok=True)
    total = sum(len(part.rows) for part in parts)
    done = total - sum(len(part.rows) for part in todo)
    progress(done, total)
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(part.work): part for part in todo}
        try:
            for future in as_completed(running):
                future.result()
                done += len(running[future].rows)
                progress(done, total)
        finally:
            pool.shutdown(cancel_futures=True)
    return _finish(survey, parts, out, skip_bad=skip_bad)


def _parts(survey: Survey, out: Path, shards: int | None) -> Iterator[_Part]:
    """Divide the list into parts, so that media that is added or removed changes only its own part."""
    inside = out.resolve() in (survey.source.resolve(), *survey.source.resolve().parents)
    size = shards or PART
    for split in SPLITS:
        listed = [row for row in survey.rows if row.split == split]
        for number, first in enumerate(range(0, len(listed), size)):
            rows = tuple(row for row in listed[first : first + size] if row.here)
            if rows:
                name = f"{split}-{number:06d}"
                yield _Part(name, rows, fingerprint(rows), out, shards is not None, inside)


def _link(example: Example, out: Path, *, inside: bool) -> dict[str, object]:
    """Return an index line with media in `out`: where it is already, or hard-linked."""
    line = dict(example.fields)
    for kind, path in example.media.items():
        if inside:
            if not path.resolve().is_relative_to(out.resolve()):
                raise BadDataError(
                    f"{path}: is a link that leaves {out}; choose another folder than the source"
                )
            line[kind] = path.relative_to(out.resolve()).as_posix()
            continue
        # Spread over 256 folders: one with two million files would be slow.
        name = str(example.fields["id"])
        place = Path("media", f"{zlib.crc32(name.encode()) % 256:02x}", name + path.suffix)
        line[kind] = place.as_posix()
        target = out / place
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.unlink(missing_ok=True)
            os.link(path.resolve(), target)
        except OSError as error:
            raise BadDataError(
                f"{path}: cannot be linked into {out} ({error.strerror}); choose a folder on the same disk, "
                "or the source itself, or --shards, which copies"
            ) from error
    return line


def _finish(survey: Survey, parts: list[_Part], out: Path, *, skip_bad: bool) -> Report:
    bad = list(survey.bad)
    written: Counter[str] = Counter()
    index = out / "index.jsonl.partial"
    with index.open("w", encoding="utf-8") as file:
        for part in parts:
            result = part.result()
            file.writelines(line + "\n" for line in result["lines"])
            written[part.rows[0].split] += len(result["lines"])
            bad += result["bad"]
    missing = "".join(f"{row.origin}: {row.id}\n" for row in survey.missing)
    (out / "missing.txt").write_text(missing, encoding="utf-8")
    (out / "bad.txt").write_text("".join(reason + "\n" for reason in bad), encoding="utf-8")
    if bad and not skip_bad:
        raise BadDataError(
            f"{len(bad):,} bad examples, the first at {bad[0]}; {out / 'bad.txt'} lists all; repair them, or "
            "leave them out with --skip-bad"
        )
    report = Report(dict(survey.listed), dict(survey.here), dict(written), tuple(bad), survey.note)
    if not written.total():
        raise BadDataError(f"{survey.source}: no good example; " + "; ".join(report.lines()))
    index.replace(out / "index.jsonl")
    durable.write(out / "prepared.json", json.dumps(asdict(report), indent=1).encode())
    for path in {*(out / PARTS).glob("*-*.json")} - {part.path for part in parts}:  # which no longer exist
        path.unlink()
        (out / f"{path.stem}.tar").unlink(missing_ok=True)
    return report


def _claim(out: Path, claim: dict[str, object]) -> None:
    path = out / PARTS / "claim.json"
    if path.exists():
        before = json.loads(path.read_text("utf-8"))
        changed = [name for name in claim if before.get(name) != claim[name]]
        if changed:
            raise BadDataError(
                f"{out}: was prepared with other {' and '.join(changed)}; choose another folder, or remove it"
            )
        return
    if (out / "index.jsonl").exists():
        raise BadDataError(f"{out}: holds another dataset's index.jsonl; choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path, json.dumps(claim).encode())
