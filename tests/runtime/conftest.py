"""A small real bundle for every test of the runtime, built in a process that has torch."""

import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import sensemble_export
from sensemble_runtime.bundle import head, manifest
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.supervision import backoff

from .puppets import Log

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest, once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The output of `build_bundle.py`: `bundle/` and `reference.npz`. Read only; copy it to alter it.

    Importing the exporter alone takes longer than all of these tests, so a cache keeps the result for
    as long as what it is made from and with stays the same.
    """
    lowering = sorted(Path(sensemble_export.__file__).with_name("lowering").glob("*.py"))
    makers = (Path(__file__).with_name(f"{name}.py") for name in ("build_bundle", "manifests"))
    sources = (*makers, Path(head.__file__), Path(manifest.__file__), *lowering)
    made_from = (
        b"".join(path.read_bytes() for path in sources)
        + f"{version('executorch')} {version('torch')}".encode()
    )
    # In the folder of pytest's cache, but not by its plugin, which may be off (`-p no:cacheprovider`).
    cache = request.config.rootpath / ".pytest_cache" / "d"
    cached = cache / f"bundle-{hashlib.sha256(made_from).hexdigest()[:16]}" / "built"

    def copy(folder: Path) -> None:
        if not cached.exists():
            partial = cached.with_name("partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.parent.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, "-m", "tests.runtime.build_bundle", partial]
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert run.returncode == 0, run.stderr
            partial.rename(cached)
        shutil.copytree(cached, folder)

    return once("built", copy)


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
