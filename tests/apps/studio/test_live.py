"""The live page of a run's model, while its disk fails."""

from pathlib import Path
from shutil import rmtree

import pytest
from sensemble_apps.running.sensor_reader import SensorReader
from sensemble_apps.studio.live import LiveSession
from sensemble_apps.studio.studio import SPECS
from sensemble_runtime.bundle.bundle import Bundle

from tests.waiting import wait_until


def test_a_recording_that_died_keeps_no_live_page_open(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with SensorReader(SPECS, None) as reader:
        live = LiveSession(Bundle.open(bundle_folder), reader, SPECS, tmp_path)
        live.start()
        recording = live._page.recorder.start(tmp_path / "recordings")
        rmtree(tmp_path / "recordings")
        recording.event("a camera", "video", "lost", "")
        wait_until(lambda: live._page.recorder.failure)
        live.close()
        assert not any(thread.is_alive() for thread in live._threads)
        with pytest.raises(Exception, match="the session is closed"):
            live._page.sensors.add(live._followers["video"])
    assert "cannot be written" in capsys.readouterr().err
