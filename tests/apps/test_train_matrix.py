"""`sensemble train matrix`: an experiment from a name or a file, by several jobs at once, into a page."""

import json
import subprocess
from pathlib import Path

import pytest
from sensemble_runtime import subsets

from .clips import write_dataset
from .conftest import COMMAND, MODALITIES, Refusal

QUICK = (
    *("--pretrain.steps", "2", "--pretrain.batch", "8", "--probe.steps", "5"),
    *("--finetune.steps", "2", "--finetune.batch", "4"),
)
EVERY = sorted(subsets.name(subset) for subset in subsets.subsets(MODALITIES))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "clips", {"pretrain": 4, "train": 3, "eval": 2})


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "train", "matrix", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_jobs_make_the_matrix_that_one_makes_from_the_others_configuration(
    clips: Path, tmp_path: Path
) -> None:
    sets = ["--train-modalities", "video", "audio+text"]
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    jobs = [start("digits", "--data", clips, "--out", shared, *sets, *QUICK) for _ in range(2)]
    for job in jobs:
        printed, errors = job.communicate(timeout=900)
        assert job.returncode == 0, errors
        assert printed.split() == [str(shared / "matrix.json"), str(shared / "report.html")]
    matrix = json.loads((shared / "matrix.json").read_text())
    for rows in matrix["methods"].values():
        assert sorted(rows) == ["audio+text", "video"]
        assert all(sorted(row) == EVERY for row in rows.values())
    assert "<svg" in (shared / "report.html").read_text()
    again = start(shared / "config.json", "--out", alone)
    assert again.wait(timeout=900) == 0
    assert json.loads((alone / "matrix.json").read_text()) == matrix


def test_what_is_no_experiment_is_refusal(refusal: Refusal, tmp_path: Path) -> None:
    assert "audioset_contrastive" in refusal("train", "matrix", "imagenet", "--out", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert "data: missing" in refusal("train", "matrix", tmp_path / "config.json", "--out", tmp_path)


def test_clips_model_asks_for_clips_merges(refusal: Refusal, clips: Path, tmp_path: Path) -> None:
    line = refusal("train", "matrix", "audioset_contrastive", "--data", clips, "--out", tmp_path / "run")
    assert "bpe_simple_vocab_16e6.txt.gz" in line
