"""The report of a large fleet: `python apps/benchmarks/fleet.py RECORD FOLDER --devices 10000 --hours 6650`.

RECORD has the audit of a bundle of a few sensors. Heartbeats of simulated devices, which lose each sensor for
a twentieth of the time on average, are written to FOLDER unless it exists, a file of each device; remove it
afterwards. `sensemble fleet` then writes its page and its JSON. Printed are the rows and bytes of the files,
the seconds of the whole command from its start, its processor seconds and its peak of resident memory.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from pyarrow import parquet
from sensemble_runtime import subsets
from sensemble_runtime.record.reader import read_runs

_SENSEMBLE = (sys.executable, "-m", "sensemble_apps")


def simulate(record: Path, folder: Path, devices: int, hours: int) -> None:
    """Write the heartbeats of a fleet."""
    sensors = sorted({m for run in read_runs(record) for live in run.scores for m in subsets.parse(live)})
    faults = [word for m in sensors for word in ("--fault", f"{m}=lost:0.05")]
    sizes = ["--devices", str(devices), "--hours", str(hours)]
    command = [*_SENSEMBLE, "fleet", "simulate", str(folder), "--audit", str(record)]
    subprocess.run([*command, *faults, *sizes], check=True)


def measure(record: Path, folder: Path) -> None:
    """Print the time and memory of a fleet's report."""
    with TemporaryDirectory() as made, (Path(made) / "fleet.json").open("w+") as out:
        options = ["--audit", str(record), "--out", f"{made}/fleet.html", "--json"]
        began = time.monotonic()
        process = subprocess.Popen([*_SENSEMBLE, "fleet", str(folder), *options], stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status:
            sys.exit(f"sensemble fleet ended with {status}")
        out.seek(0)
        (whole,) = json.load(out)["bundles"]
    print(f"report: {seconds:.1f} s, {used.ru_utime + used.ru_stime:.1f} s of processor")
    print(f"peak memory: {used.ru_maxrss / 2**20:.2f} GiB")
    print(f"expected accuracy: {whole['accuracy']}")


def main() -> None:
    """Write the files and measure the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--hours", type=int, default=6_650)
    given = parser.parse_args()
    if not given.folder.exists():
        simulate(given.record, given.folder, given.devices, given.hours)
    files = [*given.folder.glob("*.parquet")]
    rows = sum(parquet.read_metadata(file).num_rows for file in files)
    gigabytes = sum(file.stat().st_size for file in files) / 1e9
    load, *_ = os.getloadavg()
    print(f"{rows / 1e6:.1f} million rows of {len(files)} devices, {gigabytes:.2f} GB; load {load:.1f}")
    measure(given.record, given.folder)


if __name__ == "__main__":
    main()
