"""A run on sensors that were named: they come back at once, and it ends when the last of them has."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.running import real_time
from sensemble_apps.running.inputs import FORM
from sensemble_apps.running.real_time import Options
from sensemble_apps.running.view_events import Predicted
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session import sensor_host
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.devices.registry import returning
from sensemble_sensors.devices.watcher import Watcher
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision import backoff
from sensemble_sensors.supervision.events import Event

from tests.apps.conftest import Refusal
from tests.runtime.bundle.altered import replace_file
from tests.sensors.made_up import MadeUp
from tests.waiting import wait_until

pytestmark = pytest.mark.real


def patient(folder: Path) -> Bundle:
    """Open a bundle whose embeddings live long, so that a slow machine takes nothing out of the live set."""
    bundle = Bundle.open(folder)
    bundle.specs = {m: replace(spec, ttl=600.0) for m, spec in bundle.specs.items()}
    return bundle


def test_a_pipe_that_was_named_is_read_again_as_soon_as_it_is_back(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "RETRY", (1000.0, 1000.0))  # so that only the watcher brings it back
    watching: list[Watcher] = []

    def watcher(*given: Any, **named: Any) -> Watcher:  # noqa: ANN401
        watching.append(Watcher(*given, interval=0.05, **named))
        return watching[0]

    monkeypatch.setattr(real_time, "Watcher", watcher)
    pipe = tmp_path / "captions"
    os.mkfifo(pipe)

    def write() -> None:
        pipe.write_text("one person\n")  # opens when somebody reads

    bundle = patient(bundle_folder)
    finders = returning([(FORM["text"], str(pipe))])
    items = real_time.devices(bundle, [Captions(pipe)], Options(), finders=finders)
    for _ in range(2):
        writer = threading.Thread(target=write)
        writer.start()
        assert next(item for item in items if isinstance(item, Predicted)).prediction.live == ("text",)
        writer.join()
        pipe.unlink()
        lost = next(item for item in items if isinstance(item, Event) and item.kind == "lost")
        assert "the pipe was removed" in lost.text
        wait_until(lambda: not watching[0]._seen[0])  # what comes back between two searches was never away
        os.mkfifo(pipe)
    items.close()


def test_a_run_whose_every_sensor_failed_has_failed(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path, refusal: Refusal
) -> None:
    broken = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    for program in broken.rglob("*.pte"):  # it opens, and no encoder is a program
        replace_file(broken, str(program.relative_to(broken)), b"nothing")
    (tmp_path / "said.txt").write_text("one person\n")
    assert "BundleIncompatibleError" in refusal("run", broken, "--captions", tmp_path / "said.txt")
    bundle = Bundle.open(broken)
    examples = read_dataset(dataset_folder).split("eval")
    with pytest.raises(InputError, match="BundleIncompatibleError"):
        list(real_time.replay(bundle, examples[:1], Options()))


def test_a_sensor_that_does_not_stop_does_not_make_a_run_fail(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sensor_host, "CLOSE", 0.2)
    over = threading.Event()

    def once(now: float, reads: int) -> Sample:
        if reads > 1:
            over.wait()
        return Sample("text", "one person", now)

    stuck = MadeUp("text", once, name="captions")
    items = real_time.devices(patient(bundle_folder), [stuck], Options())
    assert next(item for item in items if isinstance(item, Predicted)).prediction.live == ("text",)
    items.close()
    over.set()
    assert "captions: did not stop" in capsys.readouterr().err
