"""kill -9, N times: does every record that was committed survive?

`uv run python tests/benchmarks/kill.py BUNDLE [N]` kills a session that records predictions, and a recording,
each N times (500) at a random moment, and checks after each that the SQLite file and the recording open and
hold all that their writer had been told was committed. The tests do the same a dozen times.
"""

import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sensemble_runtime.history import read_predictions, read_runs
from sensemble_sensors.dataset import read_dataset
from sensemble_sensors.recorded import Recorded

TESTS = Path(__file__).parents[1]


def killed(command: list[str | Path], moment: random.Random) -> int:
    """Run until a random moment after the first commit; return how many commits had been told."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline()]
        time.sleep(moment.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().splitlines(keepends=True)
    return max(int(line) for line in told if line.endswith("\n"))


def kept_predictions(record: Path) -> int:
    """Return how many predictions a record holds, having read them all."""
    with sqlite3.connect(record) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    (run,) = read_runs(record)
    return len(read_predictions(record, run.id))


def kept_segments(folder: Path) -> int:
    """Return how many segments a recording holds, having decoded them all."""
    dataset = read_dataset(folder)
    segments = Recorded(folder, dataset.examples).segments
    assert all(list(segment.samples()) for segment in segments)
    return len(segments)


def main(bundle: Path, times: int) -> None:
    moment = random.Random(0)  # noqa: S311 - not a secret
    session, recording = "session (predictions)", "recording (segments)"
    committed = dict.fromkeys((session, recording), 0)
    kept = dict.fromkeys(committed, 0)
    lost = dict.fromkeys(committed, 0)
    for i in range(times):
        with tempfile.TemporaryDirectory() as scratch:
            record, folder = Path(scratch) / "record.sqlite", Path(scratch) / "out"
            told = killed([TESTS / "runtime" / "predict_endlessly.py", bundle, record], moment)
            found = kept_predictions(record)
            committed[session], kept[session] = committed[session] + told, kept[session] + found
            lost[session] += found < told
            told = killed([TESTS / "sensors" / "record_endlessly.py", folder], moment)
            found = kept_segments(folder)
            committed[recording], kept[recording] = committed[recording] + told, kept[recording] + found
            lost[recording] += found < told
        print(f"\r{i + 1} of {times}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{'killed ' + str(times) + ' times':24}{'committed':>10}{'kept':>8}{'kills that lost one':>22}")
    for name in committed:
        print(f"{name:24}{committed[name]:10}{kept[name]:8}{lost[name]:22}")
    sys.exit(any(lost.values()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500)
