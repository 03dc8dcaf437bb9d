"""Write a survey as a dataset: in parallel, in parts that a killed run need not repeat."""

import json
import multiprocessing
import os
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TypeVar

from sensemble_runtime.progress import Progress
from sensemble_sensors import durable
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.splits import SPLITS

from sensemble_train.experiments.prepare.inspection import Example, inspect
from sensemble_train.experiments.prepare.shard import sample, write_shard
from sensemble_train.experiments.prepare.survey import Row, Survey, fingerprint

Good = TypeVar("Good")
PART = 500
"""Examples in a part, without shards: a killed run repeats at most these, for each process."""
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
        lines = [f"{split}: {_share(self.here.get(split, 0), self.listed[split])} here" for split in splits]
        lines += [f"{split}: {self.written.get(split, 0):,} written" for split in splits]
        lines.append(f"{len(self.bad):,} bad")
        return lines + ([self.note] if self.note else [])


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    rows: tuple[Row, ...]
    fingerprint: str
    out: Path
    shards: bool
    inside: bool  # the media is in `out` already

    @property
    def path(self) -> Path:
        return self.out / PARTS / f"{self.name}.json"


@dataclass(frozen=True, slots=True)
class _Part:
    """The result of a task: its lines of the index, and "FILE:LINE: reason" of each bad row."""

    fingerprint: str
    lines: list[str]
    bad: list[str]


def write(
    survey: Survey, out: Path, *, shards: int | None, skip_bad: bool, jobs: int, progress: Progress
) -> Report:
    """Write the examples of `survey` into `out`: `index.jsonl`, and media or shards.

    Without shards, media files are hard links, which take no space; if `out` is the source or a folder around
    it, the index names files where they are. `missing.txt` and `bad.txt` list examples that are not in it.
    In a dataset that exists already, only parts with changes are done again.

    Args:
        out: folder of the dataset; an unfinished run in it is continued.
        shards: listed examples per WebDataset shard, which holds those with media; None for plain files.
        skip_bad: leave bad examples out, instead of raising after all were inspected.

    Raises:
        BadDataError: there are bad examples, or no good ones; or `out` holds something else, or is on another
            disk than the source.
    """
    claim: dict[str, object] = {"dataset": survey.dataset, "shards": shards}
    _claim(out, claim)
    inside = out.resolve() in (survey.source.resolve(), *survey.source.resolve().parents)
    tasks = list(_tasks(survey, out, shards, inside=inside))
    _run(tasks, out, jobs, progress, again=not skip_bad)
    return _finish(survey, tasks, out, skip_bad=skip_bad)


def _tasks(survey: Survey, out: Path, shards: int | None, *, inside: bool) -> Iterator[_Task]:
    """Divide the list into parts, so that media that is added or removed changes only its own part."""
    size = shards or PART
    for split in SPLITS:
        listed = [row for row in survey.rows if row.split == split]
        for number, first in enumerate(range(0, len(listed), size)):
            rows = tuple(row for row in listed[first : first + size] if row.here)
            if rows:
                name = f"{split}-{number:06d}"
                yield _Task(name, rows, fingerprint(rows), out, shards is not None, inside)


def _run(tasks: Sequence[_Task], out: Path, jobs: int, progress: Progress, *, again: bool) -> None:
    """Do the parts that are not done; with `again`, also those with bad examples, which may be repaired."""
    todo = [task for task in tasks if not _done(task, but_bad=again)]
    if todo:  # an earlier index would find other media in the new shards
        for name in ("index.jsonl", "prepared.json"):
            (out / name).unlink(missing_ok=True)
    total = sum(len(task.rows) for task in tasks)
    done = total - sum(len(task.rows) for task in todo)
    progress(done, total)
    for task in _worked(todo, jobs):
        done += len(task.rows)
        progress(done, total)


def _worked(tasks: Sequence[_Task], jobs: int) -> Iterator[_Task]:
    if jobs == 1:
        for task in tasks:
            _work(task)
            yield task
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent) as pool:
        running = {pool.submit(_work, task): task for task in tasks}
        try:
            for future in as_completed(running):
                future.result()
                yield running[future]
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its parent process is killed; the pool itself does not."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - this runs in workers only

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _work(task: _Task) -> None:
    """Do one part; an earlier result is removed first, and the new one appears when the part is complete."""
    task.path.unlink(missing_ok=True)
    bad: list[str] = []

    def good(prepare: Callable[[Row], Good]) -> Iterator[Good]:
        for row in task.rows:
            try:
                yield prepare(row)
            except BadDataError as error:
                bad.append(f"{row.origin}: {error}")

    if task.shards:
        lines = write_shard(task.out / f"{task.name}.tar", good(lambda row: sample(inspect(row))))
    else:
        lines = [_link(example, task.out, inside=task.inside) for example in good(inspect)]
    part = _Part(task.fingerprint, [json.dumps(line, ensure_ascii=False) for line in lines], bad)
    durable.write(task.path, json.dumps(asdict(part)).encode())


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


def _finish(survey: Survey, tasks: Sequence[_Task], out: Path, *, skip_bad: bool) -> Report:
    bad = list(survey.bad)
    written: Counter[str] = Counter()
    index = out / "index.jsonl.partial"
    with index.open("w", encoding="utf-8") as file:
        for task in tasks:
            part = _Part(**json.loads(task.path.read_text("utf-8")))
            file.writelines(line + "\n" for line in part.lines)
            written[task.rows[0].split] += len(part.lines)
            bad += part.bad
    (out / "missing.txt").write_text(
        "".join(f"{row.origin}: {row.id}\n" for row in survey.missing), encoding="utf-8"
    )
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
    for path in {*(out / PARTS).glob("*-*.json")} - {
        task.path for task in tasks
    }:  # of parts that no longer exist
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


def _done(task: _Task, *, but_bad: bool) -> bool:
    """Return whether a part is done and unchanged and, with `but_bad`, has no bad example."""
    if not task.path.exists():
        return False
    part = _Part(**json.loads(task.path.read_text("utf-8")))
    return part.fingerprint == task.fingerprint and not (but_bad and part.bad)


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({count / total:.1%})"
