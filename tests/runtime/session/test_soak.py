"""The short form of `apps/benchmarks/soak.py`, in a process of its own, where nothing else grows."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[3] / "apps" / "benchmarks" / "soak.py"


@pytest.mark.slow
def test_nothing_grows_while_sensors_come_go_and_fail(bundle_folder: Path) -> None:
    sizes = ["--events", "1000", "--windows", "10000", "--minutes", "0.5"]
    run = subprocess.run(
        [sys.executable, SOAK, bundle_folder, *sizes], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "10,0" in run.stdout.splitlines()[0]
