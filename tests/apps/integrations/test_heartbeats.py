"""The heartbeats that a session keeps, and what it keeps when nobody asks."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.integrations.heartbeats import Beats, Heartbeats
from sensemble_apps.tables import heartbeats
from sensemble_apps.tables.heartbeats import Heartbeat, add, merged, read_heartbeats
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.supervision.events import Event

BUNDLE: Any = SimpleNamespace(fingerprint="b" * 64)
EVERY = ("audio", "video")


def said(live: tuple[str, ...], confidence: float = 0.9, seconds: float = 0.003) -> Prediction:
    chances = np.array([confidence, 1 - confidence], np.float32)
    return Prediction(
        0.0, live, {}, chances, chances, {"audio": seconds}, {}, labels=("a", "b"), threshold=0.8, doubt=None
    )


def live(*modalities: str) -> Event:
    return Event(0.0, "live", text="+".join(modalities))


def test_answers_are_counted_by_live_set_and_by_the_fault_that_took_a_sensor() -> None:
    beats = Beats("d", "pi", "b" * 64)
    lost = Event(0.0, "lost", "video", "camera 0", "no picture came")
    items = [live(*EVERY), said(EVERY), lost, live("audio"), *[said(("audio",), 0.55)] * 3, live(*EVERY)]
    for second, item in enumerate([*items, said(EVERY)]):
        beats.note(item, 7200.0 + second, 1.0)
    rows = {row.live: row for row in beats.taken()}
    assert sum(row.seconds for row in rows.values()) == 9
    assert {name: (row.answers, row.unsure, dict(row.without)) for name, row in rows.items() if name} == {
        "audio+video": (2, 0, {}),
        "audio": (3, 0, {"video lost": 3}),
    }
    assert Counter[str]() + sum((Counter(row.faults) for row in rows.values()), Counter()) == {
        "video lost": 1
    }
    assert rows["audio"].confidences[5] == 3
    assert rows["audio"].latencies[2] == 3
    assert beats.taken() == []


def test_sessions_of_one_device_share_private_files(tmp_path: Path) -> None:
    folder = tmp_path / "beats"
    for _ in range(2):
        with Heartbeats(str(folder), BUNDLE) as beats:
            for item in (live(*EVERY), said(EVERY), said(EVERY)):
                beats.add(item)
    files = [*folder.glob("*.parquet")]
    rows = [row for path in files for row in read_heartbeats(path)]
    assert sum(row.answers for row in rows) == 4
    assert len({row.device for row in rows}) == len({row.bundle for row in rows}) == 1
    assert len({row.key for row in rows}) == len(rows)
    assert {path.stat().st_mode & 0o777 for path in (*files, folder / ".lock")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_oldest_days_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "DAYS", 2)
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    for day in range(4):
        add(tmp_path, [Heartbeat(monday + timedelta(days=day), "d", "pi", "b", "audio", 60.0)])
    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == [
        "2026-11-25.parquet",
        "2026-11-26.parquet",
    ]


def test_rows_of_one_key_add_up() -> None:
    one = Heartbeat(
        datetime(2026, 11, 23, tzinfo=UTC), "d", "pi", "b", "audio", 2.0, 3, 1, {"x": 1}, {"x": 2}
    )
    (both,) = merged([one, one])
    assert (both.seconds, both.answers, both.unsure, both.faults, both.without) == (
        4,
        6,
        2,
        {"x": 2},
        {"x": 4},
    )


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        Heartbeats(str(tmp_path / "file"), BUNDLE)
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="no Parquet file"):
        read_heartbeats(tmp_path / "x.parquet")


WATCHED = """
import os, sys
from sensemble_apps.cli import main
from sensemble_apps.commands import run

def watch(event, arguments):
    if event.startswith("socket."):
        print("KEPT", event)
    elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        print("KEPT", arguments[0])

sys.addaudithook(watch)
sys.exit(main(sys.argv[1:]))
"""


def kept(*arguments: str | Path) -> list[str]:
    """Run the command in a process that says which files it writes and what it does with sockets."""
    command = [sys.executable, "-B", "-c", WATCHED, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return [line for line in result.stdout.splitlines() if line.startswith("KEPT")]


def test_a_session_keeps_and_sends_nothing_that_nobody_asked_for(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path
) -> None:
    command = ("run", bundle_folder, "--replay", dataset_folder, "--limit", "2")
    assert kept(*command) == []
    asked = kept(*command, "--output", f"heartbeats={tmp_path / 'beats'}")
    assert asked
    assert all(str(tmp_path / "beats") in one for one in asked)
    files = (tmp_path / "beats").glob("*.parquet")
    assert sum(row.answers for file in files for row in read_heartbeats(file)) == 2
