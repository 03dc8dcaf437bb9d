"""The paper's own settings, each in a whole run of what ships."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sensemble_sensors.errors import BadDataError
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments import matrix
from sensemble_train.experiments.config import Experiment, experiment_of
from sensemble_train.experiments.matrix import choose
from sensemble_train.recipe.examples import read
from sensemble_train.recipe.recipe import SHIPPED
from sensemble_train.recipe.run_folder import Matrix

from tests.losses import read_losses
from tests.train.recipe.test_recipe import EVERY, config_for, link
from tests.train.tiny import Line, dark_and_bright, write_index

pytestmark = pytest.mark.real


def experiment_for(folder: Path, *train: str) -> Experiment:
    return experiment_of(config_for(folder, *train))


def shipped(config: Experiment, out: Path) -> Matrix:
    return matrix.run(config, out, rows=SHIPPED)


@pytest.fixture(scope="module")
def run(clips: tuple[Path, list[Line]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Path]:
    config, out = experiment_for(clips[0], "video"), tmp_path_factory.mktemp("out") / "run"
    shipped(config, out)
    return config, out


def test_what_is_streamed_is_trained_on_alike(run: tuple[Experiment, Path], tmp_path: Path) -> None:
    """Windows are as long as the clips here, so that those drawn at random are all of them."""
    config, out = run
    matrix = shipped(replace(config, stream=True), tmp_path / "run")
    assert read_losses(tmp_path / "run" / "pretrained") == pytest.approx(
        read_losses(out / "pretrained"), abs=1e-4
    )
    assert sorted(matrix["subset"]["video"]) == EVERY


def test_held_out_examples_give_a_whole_matrix(clips: tuple[Path, list[Line]], tmp_path: Path) -> None:
    matrix = shipped(replace(experiment_for(clips[0], "video"), held_out=0.5), tmp_path / "run")
    assert sorted(matrix["subset"]["video"]) == EVERY


def test_distillation_may_use_another_dataset(run: tuple[Experiment, Path], tmp_path: Path) -> None:
    """As Kinetics' from AudioSet (Sec. 5): examples that have every modality, without their labels."""
    config, out = run
    lines = dark_and_bright(tmp_path, pretrain=6, train=0, evaluation=0)
    write_index(tmp_path, [{**line, "labels": ["none of the classes"]} for line in lines])
    other = replace(config, distill_data=str(tmp_path))
    found = shipped(other, tmp_path / "run")
    assert sorted(found["subset"]["video"]) == EVERY
    ours, theirs = (read_losses(folder / "models" / "subset" / "video") for folder in (tmp_path / "run", out))
    assert ours != theirs
    distilled = choose(other, read(other.data))["distill"]
    assert {example.files[0].parent for example in distilled} == {tmp_path}
    write_index(tmp_path, [line for line in lines if len(line) == 4])
    with pytest.raises(ConfigurationError, match=r"0 unlabelled .* audio\+text\+video"):
        shipped(other, tmp_path / "few")


def test_bad_examples_are_left_out_and_reported_only_when_asked(
    clips: tuple[Path, list[Line]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, lines = clips
    write_index(link(folder, tmp_path), lines)
    (tmp_path / "pretrain0.mkv").write_bytes(b"noise")
    with (tmp_path / "index.jsonl").open("a", encoding="utf-8") as file:
        file.write("no JSON\n")
    config = experiment_for(tmp_path, "video")
    with pytest.raises(BadDataError, match=r"index\.jsonl:17: not JSON"):
        shipped(config, tmp_path / "run")
    shipped(replace(config, skip_bad=True), tmp_path / "kept")
    assert "skipped 1 of 8 examples of pretrain" in caplog.text
    assert "index.jsonl:17: not JSON" in caplog.text
    streamed = replace(config, skip_bad=True, stream=True)
    shipped(streamed, tmp_path / "streamed")
    log = (tmp_path / "streamed" / "pretrained" / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["skipped"] for line in log] == [1, 1]
