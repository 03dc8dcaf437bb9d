"""Media files, specs, and a reader of sensors."""

import pytest
from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

from tests.sensors.studio import ReadAll, Specs, Studio


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(tmp_path_factory.mktemp("studio"))


@pytest.fixture(scope="session")
def specs() -> Specs:
    """One-second windows of 16 kHz sound and of eight 32 x 32 frames, and captions."""
    return {
        "audio": InputSpec("audio", "float32", (1, 16000), 16000, 1.0, 0.5, 2.0),
        "text": InputSpec("text", "int64", (1, 16), 0, 0.0, 0.0, 5.0),
        "video": InputSpec("video", "uint8", (1, 8, 32, 32, 3), 8, 1.0, 0.5, 2.0),
    }


@pytest.fixture(scope="session")
def read_all() -> ReadAll:
    """A function that reads an open sensor to its end."""

    def read(sensor: Sensor) -> list[Sample]:
        taken: list[Sample] = []
        while True:
            try:
                sample = sensor.read(30)
            except SensorEndedError:
                return taken
            assert sample is not None
            taken.append(sample)

    return read
