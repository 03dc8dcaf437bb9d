"""Sessions in processes of their own: killed at any moment, for long, and watched for what nobody asked."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.record.reader import read_predictions, read_runs
from sensemble_runtime.record.writer import RecordWriter
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample

pytestmark = pytest.mark.real

ENDLESS = Path(__file__).parents[1].joinpath("predict_endlessly.py")


@pytest.mark.parametrize("attempt", [0, 2, 5])
def test_a_kill_loses_no_committed_prediction(bundle_folder: Path, tmp_path: Path, attempt: int) -> None:
    record = tmp_path / "record.sqlite"
    command = [sys.executable, ENDLESS, bundle_folder, record]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = [process.stdout.readline() for _ in range(3 * attempt + 2)]  # it begins, and commits
        time.sleep(attempt * 0.0007)  # another moment within a commit each time
        process.send_signal(signal.SIGKILL)
        reported += process.stdout.read().splitlines(keepends=True)
    committed = max(int(line) for line in reported if line.endswith("\n"))
    (run,) = read_runs(record)
    predictions = read_predictions(record, run.id)
    assert run.ended is None, "it is seen to have been interrupted"
    assert len(predictions) >= committed > 0
    assert all(np.isclose(p.probabilities.sum(), 1) and p.live == ("text",) for p in predictions)
    with sqlite3.connect(record) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    RecordWriter(record).close()  # and it can be gone on with


SOAK = Path(__file__).parents[3] / "apps" / "benchmarks" / "soak.py"


@pytest.mark.long
def test_nothing_grows_while_sensors_come_go_and_fail(bundle_folder: Path) -> None:
    sizes = ["--events", "1000", "--windows", "5000", "--minutes", "0.25"]
    run = subprocess.run(
        [sys.executable, SOAK, bundle_folder, *sizes], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "5,0" in run.stdout.splitlines()[0]


SCRIPT = """
import sys
from sensemble_runtime import Bundle, Session

seen = []


def watch(event, given):
    if event.startswith("socket.") or event in ("sqlite3.connect", "os.mkdir", "os.rename"):
        seen.append(f"{event} {given}")
    elif event == "open" and (given[2] or 0) & 3 and str(given[0]) != "/dev/null":  # for writing
        seen.append(f"open {given[0]}")


sys.addaudithook(watch)
with Session(Bundle.open(sys.argv[1])) as session:
    session.replay(sys.argv[2])
    answers = len(list(session))
print(answers > 0, *seen, sep="\\n")
"""


def test_a_session_writes_no_file_and_opens_no_socket(bundle_folder: Path, tmp_path: Path) -> None:
    with Recording(tmp_path / "recorded", {"video": (8, 8)}) as recording:
        for i in range(12):
            recording.put(Sample("video", np.full((8, 8, 3), i, np.uint8), recording.began + i / 10))
    home = tmp_path / "home"
    home.mkdir()
    kept = {path: path.stat().st_mtime_ns for path in bundle_folder.rglob("*")}
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(home))
    result = subprocess.run(
        [sys.executable, "-B", "-c", SCRIPT, bundle_folder, tmp_path / "recorded"],
        capture_output=True,
        text=True,
        check=True,
        cwd=home,
        env={**os.environ, **places},
        timeout=300,
    )
    assert result.stdout.splitlines() == ["True"]
    assert list(home.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in bundle_folder.rglob("*")} == kept
