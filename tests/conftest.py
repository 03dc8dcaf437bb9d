"""The real parts that several folders' tests run on."""

import gc
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from fcntl import LOCK_EX, flock
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings

from .needs import PARTS, TIERS, need, summary
from .parts import NetworkCamera, SoundServer, running_sound_server, speech

ROOT = Path(__file__).parents[1]
_FIXTURES = {
    "sound_server": "real", "either_server": "real", "network_camera": "real", "exported": "real",
    "browser": "browser", "playwright": "browser",
}  # fmt: skip
_BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure

# The models of tests are so small that a second thread only waits for the first; the commands inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Many containers forbid Python to keep what it compiles: hundreds of processes would compile torch again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
gc.set_threshold(100_000)  # of lowering, a fifth of the time was the search for garbage

# What a shell makes a background job ignore, or nohup, the commands that the tests start would ignore too.
for _sent in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_sent) is signal.SIG_IGN:
        signal.signal(_sent, signal.SIG_DFL)


class Once(Protocol):
    """Has a function write a folder of a name, and returns its path. Read only.

    It is written once for all workers of xdist, and for later runs until what it is made from changes: files
    and folders, or all sources and parts of the tests; and the versions that lower.
    """

    def __call__(self, name: str, write: Callable[[Path], None], *made_from: Path) -> Path: ...


@pytest.fixture(params=[0o022, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def once() -> Once:
    everything = [*ROOT.glob("*/src"), ROOT / "runtime" / "native", ROOT / "tests"]
    everything += [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml")]

    @cache
    def base(made_from: Sequence[Path]) -> Path:
        digest = hashlib.sha256(f"{sys.version} {version('torch')} {version('executorch')}".encode())
        files = [path for part in made_from for path in (part.rglob("*") if part.is_dir() else [part])]
        for path in sorted(files):
            if path.is_file() and path.suffix != ".pyc" and not path.name.startswith("test_"):
                digest.update(path.read_bytes())
        return ROOT / ".pytest_cache" / digest.hexdigest()[:16]

    def written(name: str, write: Callable[[Path], None], *made_from: Path) -> Path:
        within = base(made_from or tuple(everything))
        within.mkdir(parents=True, exist_ok=True)
        folder, done = within / name, within / f"{name}.done"
        with (within / f"{name}.lock").open("w") as lock:
            flock(lock, LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                write(folder)
                done.touch()
        return folder

    return written


@pytest.fixture
def lowered_once(once: Once, monkeypatch: pytest.MonkeyPatch) -> None:
    """Share the user's cache among the tests that lower frozen encoders.

    It holds their programs, which know themselves what lowers, and the embeddings of what is trained on.
    """
    made_from = [ROOT / room / "src" for room in ("sensors", "train")]
    monkeypatch.setenv("XDG_CACHE_HOME", str(once("cache", Path.mkdir, *made_from)))


def pytest_configure(config: pytest.Config) -> None:
    """Leave the tiers with real parts out where neither a file nor a marker is asked for."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if everything and not config.option.markexpr:
        config.option.markexpr = f"not ({' or '.join(TIERS)})"
    settings.register_profile("tests", _BUSY, max_examples=50 if "CI" in os.environ else 25)
    settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # before the markers select
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark a test by the tier of the parts and fixtures that it uses, and let the long ones come first."""
    for item in items:
        parts = [PARTS[part].tier for marker in item.iter_markers("needs") for part in marker.args]
        fixtures = [tier for name, tier in _FIXTURES.items() if name in getattr(item, "fixturenames", ())]
        for tier in {*parts, *fixtures} - {""}:
            item.add_marker(tier)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of every later search for garbage, which took most of a second."""
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker names a part that is not installed, before its fixtures start."""
    need(*(part for marker in item.iter_markers("needs") for part in marker.args))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what to install for the tests that were skipped."""
    if line := summary(report.longrepr[2] for report in terminalreporter.getreports("skipped")):
        terminalreporter.write_line(line)


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[SoundServer]:
    """A PulseAudio server; ALSA, and so PortAudio, finds it and nothing else."""
    need("portaudio", "pulseaudio")
    with running_sound_server(tmp_path) as server:
        yield server


@pytest.fixture(params=["pulseaudio", "pipewire"])
def either_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SoundServer]:
    """The same of PulseAudio and of PipeWire, one after the other."""
    need("portaudio", "pulseaudio", request.param)
    with running_sound_server(tmp_path, request.param) as server:
        yield server


@pytest.fixture
def minute_of_speech(tmp_path: Path) -> Path:
    """A sound file, in which digits are spoken."""
    return speech(tmp_path / "speech.wav", seconds=60)


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    """A network camera on the loopback, which can stall."""
    camera = NetworkCamera()
    yield camera
    camera.switch_off()
