"""The training of the studio: in a process that can be cancelled, and what is refused meanwhile."""

import os
import signal
from pathlib import Path
from threading import Event, Thread

import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.studio.process import Process
from sensemble_apps.studio.project import Project, Run
from sensemble_apps.studio.training import Job, refuse_while
from sensemble_sensors import durable

from .studying import PATIENCE, Steady, studying


def test_while_a_model_is_trained_its_takes_stay_as_they_are_and_a_cancelled_run_can_go_on(
    tmp_path: Path,
) -> None:
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
        training = served.wait(lambda state: state["training"])["training"]
        assert (training["run"], training["status"]) == (1, "running")
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
    over = Event()
    job = Job(Run(1, tmp_path / "run"), tmp_path / "none", (), (), over.set)
    assert over.wait(PATIENCE)
    found = job.snapshot()
    assert found["status"] == "failed"
    assert "index.jsonl: cannot be read" in found["reason"]


def test_a_cancelled_training_is_running_until_its_process_is_gone(tmp_path: Path) -> None:
    over = Event()
    job = Job(Run(1, tmp_path / "run"), tmp_path / "none", (), (), over.set)
    job.cancel()
    with pytest.raises(InputError, match="is being trained"):
        refuse_while(job)
    assert over.wait(PATIENCE)
    assert job.snapshot()["status"] == "cancelled"
    refuse_while(job)


def test_a_studio_says_that_one_that_was_killed_left_a_training_behind_and_can_end_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    with Project(folder) as project:
        run = project.next_run()
    os.mkfifo(tmp_path / "captions")  # the command waits for a caption
    arguments = ["record", str(tmp_path / "out"), "--captions", str(tmp_path / "captions"), "--in-process"]
    left = Process(arguments)
    with durable.lock(run.folder.with_suffix(".lock")) as held:
        thread = Thread(target=left.run, args=(lambda _: None, held))
        thread.start()
        with (tmp_path / "captions").open("w"):  # when it reads
            held.close()  # as the end of that studio
            with studying(folder) as served:
                training = served.wait(lambda state: "left behind" in state["training"]["stage"])["training"]
                assert (training["run"], training["status"]) == (1, "running")
                assert "is being trained" in served.act("train", run=None)
                assert served.act("cancel") == ""
                served.wait(lambda state: state["training"]["status"] == "cancelled")
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert "run 1 is still being trained: an earlier studio left it behind" in capsys.readouterr().err
    with studying(folder) as served:
        assert served.state()["training"] is None


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
