"""The real parts that several folders' tests run on."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from .needs import need, summary
from .parts import NetworkCamera, SoundServer, running_sound_server, speech

settings.register_profile("busy", deadline=None)  # a busy machine is no failure
settings.load_profile("busy")

# What a shell makes a background job ignore, or nohup, the commands that the tests start would ignore too.
for _sent in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_sent) is signal.SIG_IGN:
        signal.signal(_sent, signal.SIG_DFL)

_DEAR = ("demo", "exported", "built")
"""Fixtures that take so long that all tests which need one share one process, and so one of it."""


def pytest_itemcollected(item: pytest.Function) -> None:
    """Tell xdist which tests belong together: by a dear fixture, or else by their module."""
    module = item.nodeid.partition("::")[0]
    item.add_marker(pytest.mark.xdist_group(next((f for f in _DEAR if f in item.fixturenames), module)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs the long tests too."""
    parser.addoption("--all", action="store_true", help="run the long tests too, as CI does")


def pytest_configure(config: pytest.Config) -> None:
    """Run every test of the files that are named; only a run of all files leaves the long tests out."""
    if not hasattr(config, "workerinput"):  # a worker of xdist has the option already
        config.option.all |= config.args_source is not pytest.Config.ArgsSource.TESTPATHS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out."""
    if not config.option.all:
        long = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


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
    """A network camera on the loopback, which can misbehave."""
    camera = NetworkCamera()
    yield camera
    camera.switch_off()
