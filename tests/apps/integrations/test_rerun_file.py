"""`--output rerun=FILE`: a recording that Rerun's own reader reads back."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.media.dataset import read_dataset

from tests.apps.commands.test_run_command import predictions
from tests.apps.conftest import Refusal, Sensemble
from tests.apps.served import running, wait_for_state
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.real, pytest.mark.needs("rerun")]

# A process whose files may hold so many bytes; the error differs from that of a full disk in its words only.
CRAMPED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
from sensemble_apps.cli import main
sys.exit(main())
"""


def read(path: Path) -> dict[str, list[tuple[float | None, dict[str, Any]]]]:
    """Return the rows of each entity: the seconds on the timeline, and the components."""
    from rerun.chunk import RrdReader

    rows = defaultdict(list)
    for chunk in RrdReader(path).stream():
        for row in chunk.to_record_batch().to_pylist():
            at = row.get("session")
            seconds = None if at is None else at / np.timedelta64(1, "s")
            rows[chunk.entity_path].append((seconds, row))
    return rows


def values(rows: list[tuple[float | None, dict[str, Any]]], component: str) -> list[Any]:
    """Return a component of each row that has it."""
    return [row[component][0] for _, row in rows if row.get(component)]


def test_a_replay_is_read_back_by_rerun(
    sensemble: Sensemble, bundle_folder: Path, dataset_folder: Path, tmp_path: Path
) -> None:
    path, bundle = tmp_path / "replay.rrd", Bundle.open(bundle_folder)
    result = sensemble(
        "run", bundle_folder, "--replay", dataset_folder, "--output", f"rerun={path}", "--json"
    )
    assert result.returncode == 0, result.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    found = read(path)
    times = [at for rows in found.values() for at, _ in rows if at is not None]
    assert -1 < min(times) < max(times) < 60
    (order,) = values(found["/answer/labels"], "TextDocument:text")
    assert order.splitlines() == [f"{n}: {label}" for n, label in enumerate(bundle.manifest.labels)]
    pictures = values(found["/sensors/video/replay\\ video"], "EncodedImage:blob")
    decoded = cv2.imdecode(np.array(pictures[0], np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == bundle.specs["video"].shape[2:]
    captions = values(found["/sensors/text/replay\\ text"], "TextLog:text")
    assert {*captions} <= {e.value("text") for e in read_dataset(dataset_folder).split("eval")} != {None}
    levels = values(found["/sensors/audio/replay\\ audio/level"], "Scalars:scalars")
    assert levels
    assert all(-120 <= level <= 0 for level in levels)
    events = values(found["/events"], "TextLog:text")
    assert "camera attached" in events
    assert any(text.startswith("microphone ended") for text in events)
    for entity in ("/answer", "/opinions/audio", "/opinions/text", "/opinions/video"):
        assert all(0 <= value <= 1 for value in values(found[f"{entity}/confidence"], "Scalars:scalars"))
        assert all(word for word in values(found[f"{entity}/words"], "StateChange:state"))
    chances = found["/answer/probabilities"]
    assert len(chances) == len(predictions(result.stdout))
    assert 1.0 in values(found["/live/video"], "Scalars:scalars")


def test_a_served_session_is_written(bundle_folder: Path, dataset_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "served.rrd"
    with running("serve", bundle_folder, "--replay", dataset_folder, "--output", f"rerun={path}") as (
        process,
        address,
    ):
        wait_for_state(address, lambda found: found["state"]["answer"])
    assert process.returncode == 130
    found = read(path)
    assert found["/answer/confidence"]
    assert found["/sensors/video/replay\\ video"]


def test_a_file_that_cannot_be_is_refused(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path, refusal: Refusal
) -> None:
    (tmp_path / "there.rrd").write_text("precious")
    command = ("run", bundle_folder, "--replay", dataset_folder, "--output")
    line = refusal(*command, f"rerun={tmp_path / 'there.rrd'}")
    assert line == f"sensemble: {tmp_path}/there.rrd: exists; name another file, or remove it"
    assert (tmp_path / "there.rrd").read_text() == "precious"
    assert refusal(*command, f"rerun={tmp_path / 'no' / 'a.rrd'}").startswith(
        f"sensemble: {tmp_path}/no/a.rrd: cannot"
    )
    assert "--output is for real time" in refusal(*command, f"rerun={tmp_path / 'fast.rrd'}", "--fast")


@pytest.mark.parametrize(
    ("room", "status", "message"),
    [(0, 2, "cannot be written"), (60_000, 0, "is not whole")],
    ids=["none at first", "none in the end"],
)
def test_where_the_disk_is_full_it_says_so(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path, room: int, status: int, message: str
) -> None:
    path = tmp_path / "a.rrd"
    script = CRAMPED.format(room=room)
    given = ["run", bundle_folder, "--replay", dataset_folder, "--output", f"rerun={path}"]
    command = [sys.executable, "-c", script, *given]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert result.returncode == status, result.stderr
    assert f"sensemble: {path}: {message} (" in result.stderr
    assert "Traceback" not in result.stderr
    assert path.exists() == (status == 0)
