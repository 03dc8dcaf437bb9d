"""A trial on the examples of a dataset, and on what devices are shown."""

import json
from pathlib import Path

import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.running import trial
from sensemble_apps.running.trial import Arm, ReplayedScenes, SceneAnswers, ShownScenes, on_devices
from sensemble_runtime import Bundle
from sensemble_runtime.record.reader import read_runs
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.recording.replay import MediaReplay

from tests.apps.conftest import Sensemble

WITHOUT, COVERED = "without microphone", "camera under occlusion:5"


def test_arms_answer_the_same_scenes_and_their_records_compare(
    here: Sensemble, bundle_folder: Path, dataset_folder: Path, tmp_path: Path
) -> None:
    arms = ("--unplug", "microphone", "--condition", "camera=occlusion:5", "--seed", "3", "--json")
    command = ("trial", bundle_folder, "--replay", dataset_folder, "--fast", "--out", tmp_path / "out")
    said = json.loads(here(*command, *arms).stdout)
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0
    assert sorted(said["order"]) == sorted(["all sensors", WITHOUT, COVERED])
    assert said["sensors"] == "audio+text+video"
    assert {title: one["n"] for title, one in said["arms"].items()} == {WITHOUT: 6, COVERED: 6}
    assert json.loads(here(*command, *arms).stdout) == said
    records = [str(tmp_path / "out" / f"{name}.sqlite") for name in ("all-sensors", "without-microphone")]
    found = json.loads(here("compare", *records, "--json").stdout)["sets"]["audio+text+video"]
    assert found["live"] == ["audio+text+video", "text+video"]
    assert [*read_runs(records[1])[0].scores] == ["text+video"]
    alone = said["arms"][WITHOUT]
    assert {k: found[k] for k in ("change", "gained", "lost", "p")} == {
        k: alone[k] for k in ("change", "gained", "lost", "p")
    }


def test_blocks_repeat_the_scenes_as_one_group(
    here: Sensemble, bundle_folder: Path, dataset_folder: Path
) -> None:
    options = ("--examples", "1", "--repeat", "2", "--unplug", "microphone")
    shown = here("trial", bundle_folder, "--replay", dataset_folder, *options)
    assert shown.returncode == 0
    assert "period 4 of 4" in shown.stderr
    assert "without microphone" in shown.stdout


def test_devices_are_judged_by_the_class_that_is_shown(bundle_folder: Path, dataset_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    specs = {m: spec for m, spec in bundle.specs.items() if m != "text"}

    class Playing(MediaReplay):
        def __enter__(self) -> list[object]:  # type: ignore[override]
            self.start()
            return [self.sensor(m) for m in self.modalities]

    def sensors() -> Playing:
        return Playing(dataset_folder / "eval-one-0.mkv", specs)

    period = on_devices(bundle, sensors, None)  # type: ignore[arg-type]
    scenes = ShownScenes(bundle, period, ("one",), 3.0, settle=0.0)
    arms = [Arm("deaf", frozenset({"audio"})), Arm("blind", frozenset({"video"}))]
    blocks: list[int] = []
    found = trial.run(bundle, scenes, arms, 2, 0, lambda _, block: blocks.append(block))
    assert blocks == [0, 0, 0, 1, 1, 1]
    assert found.subset == "audio+video"
    shown, *others = ([one.example for one in answers] for answers in found.answers.values())
    assert shown == others[0] == others[1]
    assert {one.partition(".")[0] for one in shown} == {"one 1", "one 2"}
    subsets = {title: {one.subset for one in answers} for title, answers in found.answers.items()}
    assert subsets == {"all sensors": {"audio+video"}, "deaf": {"video"}, "blind": {"audio"}}
    with pytest.raises(InputError):
        trial.run(bundle, scenes, [Arm("nothing", frozenset({"audio", "video"}))], 1, 0, lambda *_: None)
    every = [one for answers in found.answers.values() for one in answers]
    assert any(one.doubt != "unfamiliar" for one in every)
    assert {one.groups for one in found.answers["deaf"]} == {("block 1",), ("block 2",)}


@pytest.mark.parametrize(
    ("end", "why"),
    [(SensorUnavailableError("camera: is gone"), "camera: is gone"), (KeyboardInterrupt(2), "interrupted")],
)
def test_what_ends_a_trial_leaves_the_blocks_before_it(
    end: BaseException,
    why: str,
    bundle_folder: Path,
    dataset_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle, played = Bundle.open(bundle_folder), list[int]()

    class Ending(ReplayedScenes):
        def play(self, arm: Arm, block: int) -> SceneAnswers:
            played.append(block)
            if played.count(1) == 2:
                raise end
            return super().play(arm, block)

    scenes = Ending(bundle, read_dataset(dataset_folder).split("eval")[:2], fast=True)
    found = trial.run(bundle, scenes, [Arm("deaf", frozenset({"audio"}))], 3, 0, lambda *_: None)
    assert played == [0, 0, 1, 1]
    assert len(found.order) == 2
    assert {title: len(answers) for title, answers in found.answers.items()} == {"all sensors": 2, "deaf": 2}
    said = capsys.readouterr().err
    assert "block 2" in said
    assert f"{why})" in said


def test_an_arm_that_leaves_or_takes_no_sensor_that_answers_is_left_out(
    bundle_folder: Path, dataset_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, eval_examples = Bundle.open(bundle_folder), read_dataset(dataset_folder).split("eval")[:2]
    blind = [one.only({"audio", "text"}) for one in eval_examples]
    taken = {"deaf": {"audio"}, "mute": {"audio", "text"}, "without camera": {"video"}}
    arms = [Arm(title, frozenset(gone)) for title, gone in taken.items()]
    found = trial.run(bundle, ReplayedScenes(bundle, blind, fast=True), arms, 1, 0, lambda *_: None)
    assert sorted(found.order) == [*found.answers] == ["all sensors", "deaf"]
    said = capsys.readouterr().err
    assert "mute" in said
    assert "without camera" in said
