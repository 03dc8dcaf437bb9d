"""A session opens no socket and writes no file that nobody asked for."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample

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
