"""The training of the studio: in a process that can be cancelled, and what is refused meanwhile."""

from pathlib import Path
from threading import Event

from sensemble_apps.studio.project import Run
from sensemble_apps.studio.training import Job

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
            served.act("add_class", name=label)
            for _ in range(2):
                served.take(label)
        assert served.act("hold_out") == ""
        assert served.act("train", run=None) == ""
        training = served.wait(lambda state: state["training"])["training"]
        assert (training["run"], training["status"]) == (1, "running")
        changes: dict[str, dict[str, object]] = {
            "record": {"class": "zero", "seconds": 1},
            "delete_take": {"number": 1},
            "rename_class": {"name": "zero", "new": "nil"},
            "hold_out": {},
            "train": {"run": None},
            "open_live": {"run": 1},
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
    job = Job(Run(1, tmp_path / "run"), tmp_path / "none", 0.0, over.set)
    assert over.wait(PATIENCE)
    found = job.snapshot()
    assert found["status"] == "failed"
    assert "index.jsonl: cannot be read" in found["reason"]
