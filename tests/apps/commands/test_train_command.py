"""`sensemble train`: experiments by several jobs at once, into a page; the instant head of a few takes."""

import json
import shutil
from pathlib import Path

import pytest
from sensemble_apps.cli import main
from sensemble_apps.commands.train_matrix import TrainMatrix
from sensemble_apps.parsing import read
from sensemble_runtime import Bundle, subsets
from sensemble_train.experiments.config import Experiment, read_experiment
from sensemble_train.experiments.matrix import rows_of
from sensemble_train.experiments.presets import EXPERIMENTS

from tests.apps.clips import write_dataset
from tests.apps.conftest import MODALITIES, Started
from tests.train.openai_clip import MERGES
from tests.train.recipe.test_instant import takes
from tests.train.tiny import ENCODERS

SIZES = (
    *("--model.width", "32", "--model.depth", "2", "--model.heads", "2", "--model.text-heads", "2"),
    *("--model.embedding", "32", "--model.side", "32", "--model.frames", "2", "--model.seconds", "0.5"),
)
QUICK = (
    *SIZES,
    *("--pretrain.steps", "2", "--pretrain.batch", "8", "--probe.steps", "5"),
    *("--finetune.steps", "2", "--finetune.batch", "4"),
)
EVERY = sorted(subsets.name(subset) for subset in subsets.subsets(MODALITIES))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "clips", {"pretrain": 4, "train": 3, "eval": 2})


@pytest.mark.real
def test_two_jobs_make_the_matrix_that_one_makes(clips: Path, tmp_path: Path) -> None:
    sets = ["--train-modalities", "video", "audio+text"]
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    jobs = [
        Started("train", "matrix", "digits", "--data", clips, "--out", shared, *sets, *QUICK)
        for _ in range(2)
    ]
    for job in jobs:
        printed, errors = job.communicate(timeout=900)
        assert job.returncode == 0, errors
        assert printed.split() == [str(shared / "matrix.json"), str(shared / "report.html")]
    matrix = json.loads((shared / "matrix.json").read_text())
    for rows in matrix["methods"].values():
        assert sorted(rows) == ["audio+text", "video"]
        assert all(sorted(row) == EVERY for row in rows.values())
    assert "<svg" in (shared / "report.html").read_text()
    assert main(["train", "matrix", str(shared / "config.json"), "--out", str(alone)]) == 0
    assert json.loads((alone / "matrix.json").read_text()) == matrix


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_without_options_an_experiment_has_its_own_sizes(name: str) -> None:
    assert TrainMatrix.parse([name, "--out", "run"]) == TrainMatrix(
        config=EXPERIMENTS[name](""), out=Path("run")
    )


def test_help_names_every_experiment_with_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "matrix", "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: sensemble train matrix EXPERIMENT|CONFIG.JSON --out FOLDER")
    named = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.startswith("  ")}
    assert named.keys() == EXPERIMENTS.keys()
    assert all(len(words) > 3 for words in named.values())


def test_help_describes_the_options_that_several_phases_share(capsys: pytest.CaptureFixture[str]) -> None:
    """They had no description, two numbers were a `TEXT`, and a `%` in a configuration broke it."""
    with pytest.raises(SystemExit):
        read(TrainMatrix, "matrix", ["--help"], TrainMatrix(config=Experiment("", merges="50%"), out=Path()))
    printed = " ".join(capsys.readouterr().out.split())
    for phase in ("pretrain", "probe", "finetune"):
        assert f"--{phase}.clip X largest norm of the gradient" in printed
        assert f"--{phase}.no-decay-vectors turn off: decay gains, biases " in printed
    assert "--sampling.zoom X X" in printed
    assert "(default: 50%)" in printed


SMALL = (
    *SIZES,
    *("--probe.epochs", "2", "--finetune.epochs", "1", "--finetune.batch", "4"),
    *("--scale.workers", "0", "--scale.no-compile", "--train-modalities", "video"),
)
ONCE = ("--pretrain.epochs", "1")


def trained(*arguments: str | Path) -> dict[str, object]:
    """Run an experiment of the paper's at small sizes; give the configuration that it left."""
    out = Path(arguments[-1])
    assert main(["train", "matrix", *map(str, arguments[:-1]), *SMALL, "--out", str(out)]) == 0
    matrix = json.loads((out / "matrix.json").read_text())["methods"]
    assert matrix.keys() == set(rows_of(read_experiment(out / "config.json")))
    assert all(sorted(rows["video"]) == EVERY for rows in matrix.values())
    config: dict[str, object] = json.loads((out / "config.json").read_text())
    return config


@pytest.mark.real
def test_audioset_runs_whole_from_scratch_and_kinetics_begins_with_its_encoders(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # to which relative paths belong
    shutil.copy(MERGES, tmp_path / "merges.gz")
    given = "--data", clips, "--initialize", "random", "--merges", "merges.gz", *ONCE
    config = trained("audioset_contrastive", *given, tmp_path / "run")
    assert config["initialize"] == "random"
    assert config["merges"] == str(tmp_path / "merges.gz")
    from_it = "--initialize", "run/pretrained", "--held-out", "0.4"
    config = trained("kinetics", "--data", clips, *from_it, "kinetics")
    assert config["initialize"] == str(tmp_path / "run" / "pretrained")
    model = json.loads((tmp_path / "kinetics" / "pretrained" / "model.json").read_text())
    assert {shape["drop_path"] for shape in model["configs"].values()} == {0.1}


GIVEN = [argument for m, source in ENCODERS.items() for argument in ("--encoder", f"{m}={source}")]


@pytest.mark.usefixtures("lowered_once")
@pytest.mark.real
def test_instant_writes_a_bundle_and_says_how_right_it_is_about_takes_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = takes(tmp_path / "takes", {"dark": 3, "bright": 3}), tmp_path / "run"
    arguments = ["train", "--instant", "--data", str(data), "--out", str(run), *GIVEN]
    assert main(arguments) == 0
    *sets, bundle = capsys.readouterr().out.splitlines()
    assert sets[2].startswith("audio+video: right about ")
    assert sets[2].endswith(" of takes left out")
    assert Bundle.open(bundle).manifest.labels == ("bright", "dark")
    assert main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["bundle"] == bundle
    assert told["left_out"]["video"]["n"] == 12
