"""kill -9, N times: does every record that was committed survive?

`uv run python apps/benchmarks/kill.py BUNDLE [--times 1000] [--jobs N]` kills a session that records
predictions, and a recording, each so many times, at a random moment of its first 0.3 s, in which its files
are made, too. After each kill, the file must be sound and open for going on, and hold all that its writer
had reported as committed. The tests do the same a dozen times.
"""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from sensemble_runtime.record.reader import read_predictions, read_runs
from sensemble_runtime.record.writer import Records
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.recording.header import INDEX
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.recording.writer import Recording

TESTS = Path(__file__).parents[2] / "tests"
SPAN = 0.3  # seconds from when the writer begins


@dataclass(frozen=True)
class Outcome:
    """The result of one kill: how many commits were reported to the writer, and how many are there."""

    committed: int
    kept: int


def kill_session(bundle: Path, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch) / "record.sqlite"
        committed = killed([TESTS / "runtime" / "predict_endlessly.py", bundle, record], seed)
        return Outcome(committed, kept_predictions(record))


def kill_recording(seed: int) -> Outcome:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "recording"
        committed = killed([TESTS / "sensors" / "record_endlessly.py", folder], seed)
        return Outcome(committed, kept_segments(folder))


def killed(command: list[str | Path], seed: int) -> int:
    """Run until a random moment after it says 0; return the last number of commits that it reported."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = [process.stdout.readline()]
        time.sleep(random.Random(seed).uniform(0, SPAN))  # noqa: S311 - not a secret
        process.send_signal(signal.SIGKILL)
        reported += process.stdout.read().splitlines(keepends=True)
    assert reported[0] == "0\n", f"{command[0]} did not begin"
    return max(int(line) for line in reported if line.endswith("\n"))


def kept_predictions(record: Path) -> int:
    """Return how many predictions a record holds, having read them all and opened it to go on."""
    Records(record).close()
    with closing(sqlite3.connect(record)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return sum(len(read_predictions(record, run.id)) for run in read_runs(record))


def kept_segments(folder: Path) -> int:
    """Return how many segments a recording holds, having decoded them all and opened it to go on."""
    Recording(folder, {"audio": (16000,)}).close()
    if not (folder / INDEX).stat().st_size:
        return 0
    segments = Recorded(folder, read_dataset(folder).examples).segments
    assert all(list(segment.samples()) for segment in segments)
    return len(segments)


def kill_all(name: str, kill: Callable[[int], Outcome], given: argparse.Namespace, table: Table) -> int:
    """Kill as often as was asked, add a row to the table, and return how many kills lost something."""
    with ThreadPoolExecutor(given.jobs) as pool:
        outcomes = pool.map(kill, range(given.times))
        found = list(track(outcomes, description=name, total=given.times))
    committed, kept = sum(o.committed for o in found), sum(o.kept for o in found)
    early, lost = sum(not o.committed for o in found), sum(o.kept < o.committed for o in found)
    table.add_row(name, *(str(number) for number in (given.times, early, committed, kept, lost)))
    return lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    given = parser.parse_args()
    table = Table("killed", "times", "before a commit", "committed", "kept", "kills that lost one")
    sessions = kill_all("session (predictions)", partial(kill_session, given.bundle), given, table)
    recordings = kill_all("recording (segments)", kill_recording, given, table)
    Console(width=110).print(table)
    sys.exit(bool(sessions + recordings))


if __name__ == "__main__":
    main()
