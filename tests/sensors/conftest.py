"""Media files, and specs that suit them."""

import pytest
from sensemble_sensors.spec import InputSpec

from tests.sensors.studio import Specs, Studio


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
