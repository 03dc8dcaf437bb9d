"""The matrix with every row: complete, and what ships in it is what the recipe alone would train."""

from dataclasses import replace
from pathlib import Path

import pytest
from sensemble_train.experiments import matrix
from sensemble_train.recipe import recipe
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.run_folder import Matrix

from tests.train.recipe.test_recipe import EVERY, config_for, quiet, weights
from tests.train.tiny import dark_and_bright, write_index

TRAINED = ("video", "audio+text+video")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Path, Matrix]:
    folder = tmp_path_factory.mktemp("clips")
    lines = [{**line, "labels": line["labels"] or ["dark"]} for line in dark_and_bright(folder)]
    config = replace(config_for(write_index(folder, lines), *TRAINED), everything=True)
    return config, folder / "run", matrix.run(config, folder / "run", quiet)


def test_every_row_is_there_for_every_set(run: tuple[Config, Path, Matrix]) -> None:
    _, out, found = run
    assert found.keys() == {*matrix.ROWS, "finetune_everything"}
    for rows in found.values():
        assert sorted(rows) == sorted(TRAINED)
        assert all(sorted(row) == EVERY for row in rows.values())
    models = {cell.split("/")[1] for cell in weights(out) if cell.startswith("models/")}
    assert models == set(found) - {"late_fusion"}, "late fusion is the specialists'"


def test_masd_without_other_sensors_is_finetuning(run: tuple[Config, Path, Matrix]) -> None:
    _, out, _ = run
    found = {
        train: [
            (out / "models" / m / train / "weights.safetensors").read_bytes() for m in ("masd", "finetune")
        ]
        for train in TRAINED
    }
    assert found["audio+text+video"][0] == found["audio+text+video"][1]
    assert found["video"][0] != found["video"][1]


def test_the_rows_beside_it_do_not_change_what_ships(
    run: tuple[Config, Path, Matrix], tmp_path: Path
) -> None:
    """And asked for alone in the same folder, nothing is trained or lost."""
    config, out, found = run
    alone = recipe.run(config, tmp_path / "alone", quiet)
    assert alone == {"subset": found["subset"]}
    before = {cell: path.stat().st_mtime_ns for cell, path in weights(out).items()}
    assert recipe.run(config, out, quiet) == found
    assert {cell: path.stat().st_mtime_ns for cell, path in weights(out).items()} == before
