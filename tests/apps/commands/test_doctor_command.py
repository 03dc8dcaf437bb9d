"""`sensemble doctor`: what is here, what is missing, and devices that come and go."""

import signal
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from tests.apps.conftest import Sensemble, Started
from tests.sensors.reading import install
from tests.waiting import PATIENCE

SoundServer = Any


@pytest.mark.real
def test_doctor_says_what_is_here_and_what_to_do_for_the_rest(sensemble: Sensemble) -> None:
    result = sensemble("doctor")
    assert (result.returncode, result.stderr) == (0, "")
    findings = {line.split()[1]: line.split() for line in result.stdout.splitlines()}
    assert list(findings) == [
        "python", "installed", "executors", "cameras", "microphones", "media", "captions", "pages", "server",
        "training", "speech",
    ]  # fmt: skip
    assert {state for state, *_ in findings.values()} <= {"ok", "missing"}
    assert findings["executors"][:3] == ["ok", "executors", "executorch-xnnpack,"]
    assert all(len(words) > 4 for words in findings.values() if words[0] == "missing")


@pytest.mark.real
def test_doctor_names_an_executor_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sensemble: Sensemble
) -> None:
    install(tmp_path, "gone", "[sensemble.executors]\nbroken = gone:EXECUTOR\n", "raise OSError('no chip')")
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('built for numpy 1')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (line,) = [line for line in sensemble("doctor").stdout.splitlines() if " executors " in line]
    assert line.startswith("ok       executors    executorch-xnnpack; ")
    assert "; broken has an executor that fails: sensemble.executors broken: gone:EXECUTOR" in line
    assert "; onnx cannot be loaded (built for numpy 1): `pip install" in line


def test_doctor_watches_devices_come_and_go(sound_server: SoundServer) -> None:
    with Started("doctor", "--watch") as process:
        deadline = Timer(PATIENCE, process.kill)  # ends the lines, should what is awaited never come
        deadline.start()
        lines = iter(process.stdout.readline, "")
        assert any("appeared     microphone speaker.monitor: Monitor of speaker" in line for line in lines)
        module = sound_server.plug("desk")
        assert any("appeared     microphone desk.monitor: Monitor of desk" in line for line in lines)
        sound_server.unplug(module)
        assert any("disappeared  microphone desk.monitor: Monitor of desk" in line for line in lines)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        deadline.cancel()
    assert process.returncode == 130
    assert errors == ""
