"""A small real bundle for every test of the runtime, built in a process that has torch."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.supervision import backoff

from tests.conftest import ROOT, Once

from .puppets import Log


@pytest.fixture(scope="session")
def built(once: Once) -> Path:
    """The output of `build_bundle.py`: `bundle/` and `reference.npz`. Read only; copy it to alter it."""

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "tests.runtime.build_bundle", folder]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr

    return once("built", build)


@pytest.fixture(scope="session")
def bundle_folder(built: Path) -> Path:
    """A complete bundle of audio, text and video: d = 8, three labels. Read only; copy it to alter it."""
    return built / "bundle"


@pytest.fixture
def bundle(bundle_folder: Path) -> Bundle:
    return Bundle.open(bundle_folder)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry at once, so that a test need not wait."""
    monkeypatch.setattr(backoff, "RETRY", (0.01, 0.02))
