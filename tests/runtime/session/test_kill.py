"""kill -9 of a session at any moment: its record opens, and holds every prediction that was committed."""

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.record.reader import read_predictions, read_runs
from sensemble_runtime.record.writer import Records

ENDLESS = Path(__file__).parents[1].joinpath("predict_endlessly.py")


@pytest.mark.parametrize("attempt", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 6))])
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
    Records(record).close()  # and it can be gone on with
