"""The matrix with every row: complete, and what ships in it is what the recipe alone would train."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_train.experiments import matrix
from sensemble_train.experiments.config import Experiment
from sensemble_train.experiments.matrix import rows_of
from sensemble_train.models.model import Model, load_model
from sensemble_train.models.places import SIZES
from sensemble_train.recipe import picture_sizes, recipe
from sensemble_train.recipe.methods import PretrainConfig
from sensemble_train.recipe.run_folder import Matrix

from tests.train.experiments.test_settings import experiment_for, shipped
from tests.train.recipe.test_recipe import EVERY, config_for, weights
from tests.train.tiny import dark_and_bright, write_index

pytestmark = pytest.mark.real

TRAINED = ("video", "audio+text+video")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Path, Matrix]:
    folder = tmp_path_factory.mktemp("clips")
    lines = [{**line, "labels": line["labels"] or ["dark"]} for line in dark_and_bright(folder)]
    config = experiment_for(write_index(folder, lines), *TRAINED)
    return config, folder / "run", matrix.run(config, folder / "run")


def test_every_row_is_there_for_every_set(run: tuple[Experiment, Path, Matrix]) -> None:
    _, out, found = run
    assert found.keys() == set(matrix.ROWS)
    for rows in found.values():
        assert sorted(rows) == sorted(TRAINED)
        assert all(sorted(row) == EVERY for row in rows.values())
    models = {cell.split("/")[1] for cell in weights(out) if cell.startswith("models/")}
    assert models == set(found) - {"late_fusion"} | {"probe"}, "late fusion is the specialists'"


@pytest.mark.parametrize("softened", [False, True])
def test_wiseft_averages_with_the_probe_as_published_or_as_finetuning_began(
    run: tuple[Experiment, Path, Matrix], *, softened: bool
) -> None:
    """Eq. 9 by hand; the saved probe is the softened one, its logits divided by the temperature."""
    config, out, _ = run
    name = "masd+wiseft_softened" if softened else "masd+wiseft"
    merged, tuned, probed = (
        load_model(out / "models" / m / "video").head.linear for m in (name, "masd", "linear_probe")
    )
    factor = 1 if softened else config.probe.temperature
    assert config.probe.temperature > 1
    torch.testing.assert_close(merged.weight, 0.75 * tuned.weight + 0.25 * factor * probed.weight)
    torch.testing.assert_close(merged.bias, 0.75 * tuned.bias + 0.25 * factor * probed.bias)


def test_an_unsoftened_probe_has_no_softened_rows(run: tuple[Experiment, Path, Matrix]) -> None:
    config, _, found = run
    paper = replace(config, probe=replace(config.probe, temperature=1.0))
    assert set(found) - set(rows_of(paper)) == {"wiseft_softened", "masd+wiseft_softened"}


def test_masked_autoencoding_gives_a_whole_matrix(tmp_path: Path) -> None:
    config = experiment_for(write_index(tmp_path, dark_and_bright(tmp_path)), "video")
    found = shipped(replace(config, objective="mae"), tmp_path / "run")
    assert sorted(found["subset"]["video"]) == EVERY
    encoders = load_model(tmp_path / "run" / "models" / "subset" / "video").encoders
    assert encoders["audio"].trunk.norm is encoders["video"].trunk.norm  # type: ignore[union-attr]


def test_masd_without_other_sensors_is_finetuning(run: tuple[Experiment, Path, Matrix]) -> None:
    _, out, _ = run
    found = {
        train: [
            (out / "models" / m / train / "weights.safetensors").read_bytes() for m in ("masd", "finetune")
        ]
        for train in TRAINED
    }
    assert found["audio+text+video"][0] == found["audio+text+video"][1]
    assert found["video"][0] != found["video"][1]


def test_other_rows_do_not_change_what_ships(run: tuple[Experiment, Path, Matrix], tmp_path: Path) -> None:
    """And asked for alone in the same folder, nothing is trained or lost."""
    config, out, found = run
    alone = recipe.run(config_for(Path(config.data), *TRAINED), tmp_path / "alone")
    assert alone == {"subset": found["subset"]}
    before = {cell: path.stat().st_mtime_ns for cell, path in weights(out).items()}
    assert shipped(config, out) == found
    assert {cell: path.stat().st_mtime_ns for cell, path in weights(out).items()} == before


def test_a_run_may_begin_with_anothers_encoders(run: tuple[Experiment, Path, Matrix], tmp_path: Path) -> None:
    _, out, _ = run
    mute = [{k: v for k, v in line.items() if k != "text"} for line in dark_and_bright(tmp_path)]
    mute = [{**line, "labels": [f"very {x}" for x in line["labels"]]} for line in mute]  # type: ignore[attr-defined]
    config = experiment_for(write_index(tmp_path, [line for line in mute if len(line) > 3]), "video")
    begun = replace(config, initialize=str(out / "pretrained"), pretrain=PretrainConfig(steps=0))
    matrix.run(begun, tmp_path / "run")
    old, new = load_model(out / "pretrained"), load_model(tmp_path / "run" / "pretrained")
    assert new.modalities == ("audio", "video")
    assert new.description.labels == ("very bright", "very dark")
    for m in new.modalities:
        theirs = old.encoders[m].state_dict()
        assert all(torch.equal(value, theirs[key]) for key, value in new.encoders[m].state_dict().items())


def test_what_ships_and_its_rivals_read_pictures_at_sizes_chosen_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(model: Model, modality: str, _: object) -> int:
        return -len(model.description.configs[modality].sizes)

    monkeypatch.setattr(picture_sizes, "LEAST", 1)
    monkeypatch.setattr(picture_sizes, "_loss", loss)
    lines = [{**line, "labels": line["labels"] or ["dark"]} for line in dark_and_bright(tmp_path)]
    calibrate = [{**line, "split": "calibrate"} for line in lines if line["split"] == "eval"]
    config = experiment_for(write_index(tmp_path, [*lines, *calibrate]), "video")
    out = tmp_path / "run"
    matrix.run(config, out)
    read = [path for path in out.glob("models/*/video/model.json") if "probe" not in path.parts]  # the start
    for path in [*read, out / "specialists/video/model.json"]:
        assert json.loads(path.read_text())["configs"]["video"]["sizes"] == [*SIZES], path.parent
