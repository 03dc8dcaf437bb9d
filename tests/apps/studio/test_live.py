"""The live page of a run's model, while its disk fails."""

import threading
from pathlib import Path
from shutil import rmtree

import pytest
from sensemble_apps.running.capture import Capture
from sensemble_apps.studio.live import Follower, LiveSession
from sensemble_apps.studio.studio import SPECS
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.clock import REAL

from tests.waiting import wait_until

pytestmark = pytest.mark.real


def test_a_recording_that_died_keeps_no_live_page_open(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Capture(SPECS, None) as capture:
        before = threading.active_count()
        live = LiveSession(Bundle.open(bundle_folder), capture, SPECS, tmp_path)
        live.start()
        recording = live.page.recorder.start(tmp_path / "recordings")
        rmtree(tmp_path / "recordings")
        recording.event("a camera", "video", "lost", "")
        wait_until(lambda: live.page.recorder.failure)
        live.close()
        wait_until(lambda: threading.active_count() == before)
        with pytest.raises(Exception, match="the session is closed"):
            live.page.sensors.add(Follower("video", SPECS, REAL))
    assert "cannot be written" in capsys.readouterr().err
