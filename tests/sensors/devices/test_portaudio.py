"""PortAudio's starts: one at a time, and none waits for a lock of JACK's database whose holder was killed."""

import fcntl
import mmap
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from sensemble_sensors.devices import portaudio as starts

from tests.waiting import PATIENCE

pytestmark = pytest.mark.needs("portaudio")
START = [sys.executable, "-c", "from sensemble_sensors.devices.portaudio import portaudio; portaudio()"]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An unused database of JACK, in a separate place."""
    monkeypatch.setattr(starts, "_SHARED", tmp_path)
    folder = tmp_path / f"jack_db-{os.getuid()}"
    folder.mkdir()
    for name in ("__db.001", "__db.002", "metadata.db"):
        (folder / name).write_bytes(bytes(4096))
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_start_of_portaudio_removes_the_locks_of_dead_processes() -> None:
    folder = Path(f"/dev/shm/jack_db-{os.getuid()}")  # noqa: S108
    running = {comm.read_text().strip() for comm in Path("/proc").glob("[0-9]*/comm") if comm.exists()}
    if running & {"jackd", "jackdbus"}:  # its locks stay, and rightly
        pytest.skip("a JACK server runs here")
    libraries = [*START[:2], f"{START[2]}; print(open('/proc/self/maps').read())"]
    loaded = subprocess.run(libraries, check=True, timeout=PATIENCE, stdout=subprocess.PIPE).stdout
    if b"libjack" not in loaded:
        pytest.skip("this machine's PortAudio is built without JACK")
    assert folder.exists()
    stale = folder / "__db.999"  # a name that JACK never makes, so it stays away once removed
    stale.touch()
    for _ in range(50):  # another test's PortAudio may use the database in the meantime
        subprocess.run(START, check=True, timeout=PATIENCE)
        if not stale.exists():
            return
    stale.unlink(missing_ok=True)
    pytest.fail("the locks of the first start are still there")


def test_locks_that_no_process_holds_are_removed_and_the_data_stay(database: Path, tmp_path: Path) -> None:
    every = files(database)
    with (database / "__db.001").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ):
        starts.restart()
    assert files(database) == every, "a process uses them"
    elsewhere = database.rename(tmp_path / "elsewhere")
    database.symlink_to(elsewhere)
    starts.restart()
    assert files(elsewhere) == every, "a link is not followed"
    database.unlink()
    elsewhere.rename(database)
    starts.restart()
    assert files(database) == ["metadata.db"]


def test_a_start_waits_for_another_but_not_for_ever(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "_PATIENCE", 0.5)
    other = os.open(database, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        began = monotonic()
        starts.restart()
        assert monotonic() - began >= 0.5
        assert len(files(database)) == 3, "what another one starts with must stay"
    finally:
        os.close(other)
    starts.restart()
    assert files(database) == ["metadata.db"]
