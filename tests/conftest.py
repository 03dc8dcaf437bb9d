"""The real parts that several folders' tests run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .parts import NetworkCamera, SoundServer, running_sound_server


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[SoundServer]:
    """A PulseAudio server; ALSA, and so PortAudio, finds it and nothing else."""
    with running_sound_server(tmp_path) as server:
        yield server


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    """A network camera on the loopback, which can misbehave."""
    camera = NetworkCamera()
    yield camera
    camera.switch_off()
