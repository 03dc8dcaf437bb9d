"""A run from a folder of clips to the matrix: complete, resumable, and refused where it cannot be."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sensemble_runtime.progress import no_progress
from sensemble_runtime.subsets import name, subsets
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.models import VIT_B16
from sensemble_train.models.infer_spec import describe
from sensemble_train.models.model import load_model
from sensemble_train.recipe import embedding_lengths, recipe
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.examples import check
from sensemble_train.recipe.job import SubsetJob
from sensemble_train.recipe.methods import FinetuneConfig, PretrainConfig, ProbeConfig
from sensemble_train.recipe.run_folder import read_matrix

from tests.losses import read_losses
from tests.train.tiny import Line, write_index

ALL = ("audio", "text", "video")
TRAINED = ("video", "audio+text+video")
FOLDERS = ("pretrained", "specialists", "models")
EVERY = sorted(name(subset) for subset in subsets(ALL))


def config_for(folder: Path, *train: str) -> Config:
    steps = {"pretrain": PretrainConfig(steps=2, batch=8), "finetune": FinetuneConfig(steps=2, batch=4)}
    return Config(str(folder), train, probe=ProbeConfig(steps=5), **steps)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(
    clips: tuple[Path, list[Line]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, Path, recipe.Matrix]:
    config, out = config_for(clips[0], *TRAINED), tmp_path_factory.mktemp("out") / "run"
    return config, out, recipe.run(config, out)


def weights(out: Path) -> dict[str, Path]:
    return {str(p.parent.relative_to(out)): p for p in out.rglob("weights.safetensors")}


def test_a_run_folder_holds_every_model_and_score(run: tuple[Config, Path, recipe.Matrix]) -> None:
    _, out, matrix = run
    trained = {f"models/{m}/{t}" for m in ("probe", "subset") for t in TRAINED}
    teachers = {"models/masd/video", *(f"specialists/{m}" for m in ALL)}
    assert set(weights(out)) == {"pretrained", *teachers, *trained}
    matrices = {"matrix.json", "matrix.calibrate.json"}
    assert {p.name for p in out.iterdir()} == {"config.json", "locks", *FOLDERS, *matrices}
    assert len(read_losses(out / "pretrained")) == 2
    assert recipe.read_matrix(out) == matrix
    for file in matrices:
        methods = json.loads((out / file).read_text())["methods"]
        assert list(methods) == ["subset"]
        for rows in methods.values():
            assert list(rows) == sorted(TRAINED)
            for row in rows.values():
                assert list(row) == EVERY
                assert all(0 <= score <= 1 for score in row.values())


def test_what_is_chosen_by_is_of_calibrate_and_what_is_reported_of_eval(
    run: tuple[Config, Path, recipe.Matrix], clips: tuple[Path, list[Line]], tmp_path: Path
) -> None:
    """Labels of `calibrate` that are all wrong change no model that learns from labels alone."""
    config, _, _ = run
    folder, lines = clips
    other = {"dark": "bright", "bright": "dark"}
    calibrate = [
        {**line, "split": "calibrate", "labels": [other[str(x)] for x in line["labels"]]}  # type: ignore[attr-defined]
        for line in lines
        if line["split"] == "eval"
    ]
    write_index(link(folder, tmp_path), [*lines, *calibrate])
    once, rows = replace(config, train_modalities=("video",)), {"linear_probe": SubsetJob.probed}
    matrix = recipe.Recipe(once, rows).run(tmp_path / "before", no_progress, None)
    found = recipe.Recipe(replace(once, data=str(tmp_path)), rows).run(tmp_path / "run", no_progress, None)
    chosen = read_matrix(tmp_path / "run", "calibrate")
    for method, rows in found.items():
        assert rows["video"] == matrix[method]["video"], "nothing is trained on calibrate"
        assert chosen[method]["video"] == pytest.approx({e: 1 - p for e, p in rows["video"].items()})


def test_sensors_are_balanced_by_examples_that_nothing_was_trained_on(
    clips: tuple[Path, list[Line]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_lengths, "LEAST", 1)
    folder, lines = clips
    calibrate = [{**line, "split": "calibrate"} for line in lines if line["split"] == "eval"]
    write_index(link(folder, tmp_path), [*lines, *calibrate])
    for data, alike in ((folder, True), (tmp_path, False)):
        out = tmp_path / f"run-{alike}"
        recipe.run(config_for(data, "video"), out)
        configs = json.loads((out / "models/subset/video/model.json").read_text())["configs"].values()
        assert all(config["length"] == 1 for config in configs) == alike


@pytest.mark.parametrize(
    "lost",
    [
        ["specialists/audio", "models/probe/audio+text+video", "models/subset/audio+text+video"],
        [*FOLDERS],
    ],
    ids=["one row", "everything"],
)
def test_an_interrupted_run_comes_to_the_same_numbers(
    lost: list[str], run: tuple[Config, Path, recipe.Matrix], tmp_path: Path
) -> None:
    config, out, matrix = run
    again = tmp_path / "run"
    shutil.copytree(out, again)
    (again / "matrix.json").unlink()
    (again / "matrix.calibrate.json").unlink()
    for folder in lost:
        shutil.rmtree(again / folder)
    assert recipe.run(config, again) == matrix
    assert read_matrix(again, "calibrate") == read_matrix(out, "calibrate")
    for cell, path in weights(out).items():
        assert weights(again)[cell].read_bytes() == path.read_bytes(), cell


def test_another_configuration_in_a_folder_is_refused(run: tuple[Config, Path, recipe.Matrix]) -> None:
    config, out, _ = run
    with pytest.raises(ConfigurationError, match=r"seed was 0, is 7.*--out") as caught:
        recipe.run(replace(config, seed=7), out)
    assert "pretrain" not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"--model\.name vit_b16"):
        recipe.run(replace(config, model=VIT_B16), out.with_name("large"))


def without(lines: list[Line], split: str, *media: str) -> list[Line]:
    """Take media from the examples of a split; those that have none left are gone."""
    kept = [{k: v for k, v in line.items() if line["split"] != split or k not in media} for line in lines]
    return [line for line in kept if len(line) > 2]


@pytest.mark.parametrize(
    ("train", "change", "reason"),
    [
        ("audio+video", lambda lines: without(lines, "train", "audio"), r"audio\+video: .* have text\+video"),
        ("video", lambda lines: without(lines, "pretrain", "text"), "pretrain.* all of audio"),
        (
            "video",
            lambda lines: [e for e in lines if e["split"] != "train"],
            "no example of the split 'train'",
        ),
        ("video", lambda lines: [e for e in lines if e["split"] != "eval"], "no example of the split 'eval'"),
    ],
    ids=["no label of a sensor", "no caption", "none to learn from", "none to report on"],
)
def test_examples_that_cannot_be_trained_on_are_refused(
    train: str,
    change: Callable[[list[Line]], list[Line]],
    reason: str,
    clips: tuple[Path, list[Line]],
    tmp_path: Path,
) -> None:
    """Encoders that never meet could not be aligned, nor MASD find a student: an endless loop."""
    folder, lines = clips
    write_index(link(folder, tmp_path), change(lines))
    with pytest.raises(ConfigurationError, match=reason):
        recipe.run(config_for(tmp_path, train), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_labels_make_a_multi_label_task(clips: tuple[Path, list[Line]], tmp_path: Path) -> None:
    folder, lines = clips
    labelled = [i for i, line in enumerate(lines) if line["split"] == "train"]
    several = [dict(line) for line in lines]
    several[labelled[0]]["labels"] = ["dark", "bright"]
    description = describe(read_dataset(write_index(link(folder, tmp_path), several)))
    assert description.task == "multi-label"
    assert description.labels == ("bright", "dark")
    assert describe(read_dataset(folder)).task == "multi-class"
    matrix = recipe.run(config_for(tmp_path, "video"), tmp_path / "run")
    assert sorted(matrix["subset"]["video"]) == EVERY


def test_shapes_come_from_the_media(clips: tuple[Path, list[Line]]) -> None:
    specs = describe(read_dataset(clips[0])).specs
    shapes = {"audio": (1, 8000), "text": (1, 16), "video": (1, 4, 32, 32, 3)}
    assert {m: spec.shape for m, spec in specs.items()} == shapes
    assert specs["video"].rate * specs["video"].window == 4


def test_pictures_are_films_of_one_frame(tmp_path: Path) -> None:
    lines: list[Line] = []
    for i, split in enumerate(["pretrain"] * 6 + ["train"] * 4 + ["eval"] * 4):
        label = ("dark", "bright")[i % 2]
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((80, 60, 3), (20, 220)[i % 2] + i, np.uint8))
        lines.append({"split": split, "labels": [label], "image": f"{i}.png", "text": f"a {label} one"})
    dataset = read_dataset(write_index(tmp_path, lines))
    assert describe(dataset).specs["video"].shape == (1, 1, 64, 64, 3)
    matrix = recipe.run(config_for(tmp_path, "video"), tmp_path / "run")
    assert sorted(matrix["subset"]["video"]) == ["text", "text+video", "video"]


def link(folder: Path, into: Path) -> Path:
    """Copy the media of a dataset."""
    for file in folder.glob("*.mkv"):
        shutil.copy(file, into)
    return into


def test_each_specialist_learns_from_its_own_labels_once(run: tuple[Config, Path, recipe.Matrix]) -> None:
    """Whatever M_T it teaches; the encoders of other sensors stay as they were pretrained."""
    _, out, _ = run
    pretrained = load_model(out / "pretrained")
    for m in ALL:
        specialist = load_model(out / "specialists" / m)
        for other in ALL:
            pairs = zip(
                specialist.encoders[other].parameters(), pretrained.encoders[other].parameters(), strict=True
            )
            assert all(torch.equal(a, b) for a, b in pairs) == (other != m)


def test_files_that_two_splits_share_are_named(
    clips: tuple[Path, list[Line]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, lines = clips
    link(folder, tmp_path)
    shared = {line["split"]: str(line["video"]) for line in lines}
    shutil.copy(tmp_path / shared["train"], tmp_path / shared["eval"])
    dataset = read_dataset(write_index(tmp_path, lines))
    check(config_for(tmp_path, "video"), dataset, dataset.split("train"), from_scratch=True)
    assert [shared["train"] in record.message for record in caplog.records].count(True) == 1
