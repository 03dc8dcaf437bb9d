"""Takes in a row whose sensor gives nothing for a while."""

from contextlib import closing
from pathlib import Path

import pytest
from sensemble_apps.running.capture import Capture
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.running.take_recorder import TakeRecorder, Wanted, takes_in
from sensemble_apps.studio.studio import SPECS
from sensemble_sensors.sensor import Sample

from tests.apps.studio.studying import Steady
from tests.waiting import wait_until

pytestmark = pytest.mark.real


class Mute(Steady):
    """A camera that gives nothing during some takes."""

    takes: TakeRecorder
    mute: tuple[int, ...]

    def read(self, timeout: float) -> Sample | None:
        sample, progress = super().read(timeout), self.takes.progress
        # Not before such a take either: a sample that is on its way when the take begins is of it.
        waits = progress is not None and progress.phase == "countdown"
        return None if self.takes.number + waits in self.mute else sample


@pytest.mark.parametrize("mute", [(2,), (2, 3, 4)])
def test_an_empty_take_is_said_and_tried_again_three_times_at_most(
    tmp_path: Path, mute: tuple[int, ...]
) -> None:
    messages = list[str | None]()
    with Capture(SPECS, None) as capture:
        recorder = TakeRecorder(Recorder(capture, SPECS), tmp_path / "data", messages.append, countdown=0.0)
        camera = Mute("video")
        camera.takes, camera.mute = recorder, mute
        capture.attach(camera)
        with closing(recorder):
            recorder.start(Wanted("clap", 3, labels=("clap",)), 1.0)
            wait_until(lambda: not recorder.busy)
        found = [take.number for take in takes_in(tmp_path / "data")]
    assert "take 2 is empty" in " ".join(filter(None, messages))
    assert not set(found) & set(mute)
    # A machine that stands still may lose take 1, too.
    assert (recorder.failure is None, len(found) == 3) == ((True, True) if mute == (2,) else (False, False))
