"""A sensor that is played rather than captured is never unhealthy, and is gone when it has ended."""

from pathlib import Path

import numpy as np
import pytest
from sensemble_apps.running.capture import Capture
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.session import Session
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from tests.sensors.studio import write_media
from tests.waiting import wait_until

pytestmark = pytest.mark.real

STRICT = Thresholds(frozen=0.2, black=0.2, stalled=0.3, flood=0.1, recovery=0.1, reopen=0.3)
VIDEO = InputSpec("video", "uint8", (1, 8, 32, 32, 3), 8, 1.0, 0.5, 2.0)
TEXT = InputSpec("text", "int64", (1, 16), 0, 0.0, 0.0, 5.0)


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A film of two black seconds, with a break of one in their middle."""
    ticks = [125 * (i + 8 * (i >= 8)) for i in range(16)]
    return write_media(tmp_path / "still.mkv", np.zeros((16, 32, 32, 3), np.uint8), ticks=ticks)


def read_to_its_end(sensor: Sensor, spec: InputSpec) -> tuple[list[Sample], list[str]]:
    """Return what a sensor gave, and what became of it until it had ended."""
    given: list[Sample] = []
    reported: list[str] = []
    with Capture({spec.modality: spec}, STRICT) as reader:
        reader.listen(lambda _, sample: given.append(sample))
        reader.subscribe(lambda event: reported.append(event.kind))
        reader.attach(sensor)
        wait_until(lambda: reader.over)
    return given, reported


def test_a_film_may_stand_still_and_never_begins_again(still: Path) -> None:
    given, reported = read_to_its_end(Isolated(Camera, str(still)), VIDEO)
    assert reported == ["attached", "ended"]
    assert given[-1].time - given[0].time == pytest.approx(23 / 8, abs=1)


def test_a_text_may_be_read_as_fast_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "said.txt"
    path.write_text("".join(f"caption {i}\n" for i in range(200)))
    given, reported = read_to_its_end(Captions(path), TEXT)
    assert reported == ["attached", "ended"]
    assert [sample.data for sample in given] == [f"caption {i}" for i in range(200)]


def test_a_session_replays_a_recording_a_dataset_and_a_film(
    bundle: Bundle, still: Path, tmp_path: Path
) -> None:
    with Recording(tmp_path / "recorded", {"video": (8, 8)}) as recording:
        for i in range(12):
            recording.put(Sample("video", np.full((8, 8, 3), i, np.uint8), recording.began + i / 10))
    (tmp_path / "data").mkdir()
    still.rename(tmp_path / "data" / "still.mkv")
    (tmp_path / "data" / "index.jsonl").write_text(
        '{"id": "a", "split": "eval", "labels": ["one"], "video": "still.mkv", "text": "one"}\n'
    )
    for folder, live in (("recorded", "video"), ("data", "text+video"), ("data/still.mkv", "video")):
        with Session(bundle) as session:
            player = session.replay(tmp_path / folder)
            assert "+".join(sorted(player.modalities)) in (live, "audio+" + live)
            assert {m for prediction in session for m in prediction.live} == {*live.split("+")}


def test_what_cannot_be_replayed_is_told(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text(
        '{"id": "a", "split": "eval", "labels": ["one"], "video": "noise.mkv"}\n'
    )
    (tmp_path / "noise.mkv").write_text("no film")
    session = Session(bundle)
    with pytest.raises(BadDataError, match=r"^wrong: no such file or folder; "):
        session.replay("wrong")
    session.replay(tmp_path)
    assert list(session) == []
    with pytest.raises(BadDataError, match=r"noise\.mkv"):
        session.close()
    session.close()
