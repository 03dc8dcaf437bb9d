"""Only the user can read the files that hold sensor data, whatever the umask."""

import stat
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample

pytestmark = pytest.mark.usefixtures("umask")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def record(folder: Path) -> None:
    with Recording(folder, {"audio": (16000,)}) as recording:
        began = monotonic()
        recording.put(Sample("audio", np.zeros(1600, np.float32), began))
        recording.put(Sample("video", np.zeros((32, 32, 3), np.uint8), began))
        recording.put(Sample("text", "a secret", began))


def test_a_recording_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "above" / "clips"
    record(folder)
    left = folder / "segments" / "000001.mkv.partial"
    left.touch(0o666)  # what a kill leaves
    record(folder)
    found = [folder, *folder.rglob("*")]
    assert {path.name for path in found if path.is_dir()} == {"clips", "segments"}
    assert len(found) == 2 + 2 + 4, "two segments of two files each, the index and the events"
    for path in found:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_in_a_folder_of_the_users_own_the_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    folder.chmod(0o755)
    record(folder)
    assert mode(folder) == 0o755, "as the user made it"
    assert {mode(path) for path in folder.rglob("*") if path.is_file()} == {0o600}
