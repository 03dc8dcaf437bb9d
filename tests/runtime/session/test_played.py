"""A sensor that is played rather than captured is never unhealthy, and is gone when it has ended."""

from pathlib import Path

import av
import numpy as np
import pytest
from sensemble_runtime.session.sensor_thread import SensorThread
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.thresholds import Thresholds

from tests.runtime.puppets import Owner, wait_for

STRICT = Thresholds(frozen=0.2, black=0.2, stalled=0.3, flood=0.1, flood_rate=10, recovery=0.1, reopen=0.3)
VIDEO = InputSpec("video", "uint8", (1, 8, 32, 32, 3), 8, 1.0, 0.5, 2.0)
TEXT = InputSpec("text", "int64", (1, 16), 0, 0.0, 0.0, 5.0)


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A film of two black seconds, with a break of one in their middle."""
    path = tmp_path / "still.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=8)
        stream.width = stream.height = 32
        stream.pix_fmt = "bgr0"
        for i in range(16):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24").reformat(
                format="bgr0"
            )
            frame.pts = i + 8 * (i >= 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_to_its_end(sensor: Sensor, spec: InputSpec) -> tuple[list[Sample], list[str]]:
    """Return what a sensor gave, and what became of it until it had ended."""
    owner = Owner()
    thread = SensorThread(sensor.name, sensor, spec, STRICT, (), (), owner)
    thread.thread.start()
    wait_for(lambda: any(isinstance(error, SensorEndedError) for error in owner.failures))
    thread.thread.join(60)
    return owner.samples, owner.reported


@pytest.mark.parametrize("isolated", [False, True])
def test_a_film_may_stand_still_and_never_begins_again(still: Path, *, isolated: bool) -> None:
    sensor = Isolated(Camera, str(still)) if isolated else Camera(still)
    given, reported = read_to_its_end(sensor, VIDEO)
    assert reported == ["opened", "SensorEndedError"]
    assert given[-1].time - given[0].time == pytest.approx(23 / 8, abs=1)


def test_a_text_may_be_read_as_fast_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "said.txt"
    path.write_text("".join(f"caption {i}\n" for i in range(200)))
    given, reported = read_to_its_end(Captions(path), TEXT)
    assert reported == ["opened", "SensorEndedError"]
    assert [sample.data for sample in given] == [f"caption {i}" for i in range(200)]
