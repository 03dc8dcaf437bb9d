"""The training of the studio: in a process that can be cancelled, and what is refused meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from threading import Event, Thread, active_count
from time import monotonic
from typing import IO

import pytest
from sensemble_apps.studio.command_process import Process
from sensemble_apps.studio.project import Project, ProjectRun
from sensemble_apps.studio.training import TimeLeft, training
from sensemble_sensors.clock import REAL, VirtualClock

from tests.waiting import PATIENCE

from .studying import Steady, studying

pytestmark = pytest.mark.real


def test_training_holds_its_takes_and_a_cancelled_run_can_go_on(tmp_path: Path) -> None:
    camera, microphone = Steady("video"), Steady("audio")
    folder = tmp_path / "project"
    with studying(folder, camera, microphone) as served:
        assert "two classes" in served.act("train", run=None)
        for label in ("zero", "one"):
            camera.label = microphone.label = label
            served.act("add_classes", names=label)
            for _ in range(2):
                served.take(label)
        assert served.act("train", run=None) == ""
        job_shown = served.wait(lambda state: state["training"])["training"]
        assert (job_shown["run"], job_shown["status"]) == (1, "running")
        changes: dict[str, dict[str, object]] = {
            "record": {"class": "zero", "seconds": 1},
            "delete_take": {"number": 1},
            "rename_class": {"name": "zero", "new": "nil"},
            "move_take": {"number": 1, "class": "one"},
            "train": {"run": None},
        }
        for action, given in changes.items():
            assert "is being trained" in served.act(action, **given), action
        assert served.act("cancel") == ""
        served.wait(lambda state: state["training"]["status"] == "cancelled")
        job = served.studio.job
        assert job is not None
        job.close()
        assert "no bundle yet" in served.act("open_live", run=1)
        assert "no run 7" in served.act("train", run=7)
        assert served.act("rename_class", name="zero", new="nil") == ""
    with studying(folder) as served:
        (run,) = served.state()["project"]["runs"]
        assert (run["number"], run["done"], run["scores"]) == (1, False, None)


def test_a_training_that_fails_says_why(tmp_path: Path) -> None:
    over, threads = Event(), active_count()
    job = training(ProjectRun(1, tmp_path / "run"), tmp_path / "none", (), (), over.set, REAL)
    assert active_count() == threads  # it waits for `start`
    job.start()
    assert over.wait(PATIENCE)
    found = job.snapshot()
    assert found["status"] == "failed"
    assert "index.jsonl: cannot be read" in found["reason"]


def test_the_time_that_is_left_stands_still_and_never_rises() -> None:
    clock = VirtualClock()
    left, remaining = TimeLeft(clock), list[float]()
    assert left.seconds is None
    for seconds, share in ((10, 0.2), (10, 0.8), (30, 0.8), (60, 0.82), (20, 0.9)):
        clock.advance(seconds)
        left.note(share)
        assert left.seconds is not None
        remaining.append(left.seconds)
    assert remaining[:2] == pytest.approx([40, 5])
    assert remaining[2:] == [0, 0, 0]


def test_a_module_in_the_current_folder_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")  # beside a data set from elsewhere, say
    monkeypatch.chdir(tmp_path)
    assert Process(["--version"]).run(lambda _: None) == 0


def is_read(pipe: IO[bytes]) -> bool:
    try:
        pipe.write(b"a caption\n")
    except BrokenPipeError:
        return False
    return True


def test_a_process_ends_with_a_studio_that_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "captions")  # the command waits for captions
    arguments = ["record", str(tmp_path / "out"), "--captions", str(tmp_path / "captions"), "--in-process"]
    program = f"from {Process.__module__} import Process; Process({arguments}).run(lambda _: None)"
    studio = subprocess.Popen([sys.executable, "-c", program])
    with (tmp_path / "captions").open("wb", buffering=0) as captions:  # when it reads
        studio.kill()
        studio.wait()
        began = monotonic()
        while is_read(captions):
            assert monotonic() < began + PATIENCE


def test_a_process_ends_though_ctrl_c_is_ignored_where_it_was_started(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "captions")  # the command waits for a caption
    arguments = ["record", str(tmp_path / "out"), "--captions", str(tmp_path / "captions"), "--in-process"]
    process, found = Process(arguments), list[int]()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as for what a script starts in the background
    try:
        thread = Thread(target=lambda: found.append(process.run(lambda _: None)))
        thread.start()
        with (tmp_path / "captions").open("w"):  # when it reads
            process.stop()
        thread.join(PATIENCE)
    finally:
        signal.signal(signal.SIGINT, before)
        process.stop(kill=True)
    assert not thread.is_alive()
    assert found[0] != 0


def test_after_a_restart_the_newest_usable_model_answers(tmp_path: Path, bundle_folder: Path) -> None:
    with Project(tmp_path / "project") as project:
        runs = [project.next_run().folder / "bundle" for _ in range(2)]
    copytree(bundle_folder, runs[0])
    runs[1].mkdir()
    (runs[1] / "manifest.json").write_text("{}")
    with studying(tmp_path / "project") as served:
        assert served.state()["project"]["live"] == 1
