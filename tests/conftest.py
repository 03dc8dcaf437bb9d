"""The real parts that several folders' tests run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from .parts import NetworkCamera, SoundServer, noise, running_sound_server

settings.register_profile("busy", deadline=None)  # a busy machine is no failure
settings.load_profile("busy")


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[SoundServer]:
    """A PulseAudio server; ALSA, and so PortAudio, finds it and nothing else."""
    with running_sound_server(tmp_path) as server:
        yield server


@pytest.fixture
def minute_of_noise(tmp_path: Path) -> Path:
    """A sound file."""
    return noise(tmp_path / "noise.wav", 0.3, seconds=60)


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    """A network camera on the loopback, which can misbehave."""
    camera = NetworkCamera()
    yield camera
    camera.switch_off()
