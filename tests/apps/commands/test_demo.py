"""From a folder of clips to a bundle and a page, by one command."""

import re
from pathlib import Path
from shutil import copytree

import pytest
from rich.console import Console
from sensemble_apps.cli import main
from sensemble_apps.commands.demo import _conditions, _summarize
from sensemble_apps.tables.matrices import read_matrices
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.record.reader import read_runs
from sensemble_sensors.media.dataset import Dataset, Example

from tests.apps.clips import write_dataset
from tests.apps.conftest import MODALITIES, DemoRun, Sensemble
from tests.apps.shipped import write_audit, write_run

SETS = {subsets.name(subset) for subset in subsets.subsets(MODALITIES)}


def test_it_trains_only_what_ships(demo: DemoRun) -> None:
    (matrix,) = read_matrices(demo.folder / "matrix.json").values()
    assert matrix.keys() == {"video"}
    assert matrix["video"].keys() == SETS
    assert all(0 <= score <= 1 for score in matrix["video"].values())
    models = {path.name for path in (demo.folder / "models").iterdir()}
    assert models == {"masd", "probe", "subset"}, "MASD teaches where sensors have no labels"


def test_it_leaves_a_bundle_its_audit_and_its_page(demo: DemoRun) -> None:
    bundle = Bundle.open(demo.folder / "bundle")
    assert bundle.modalities == MODALITIES
    assert set(bundle.manifest.labels) == {"zero", "one", "two"}
    made = bundle.manifest.provenance
    assert (made.train_modalities, made.dataset, made.method) == (("video",), "colours", "subset")
    held_out = demo.folder / "held-out-windows-of-bundle"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (held_out, *held_out.iterdir()))
    (run,) = read_runs(demo.folder / "audit.sqlite")
    assert (run.ended is not None, run.scores.keys()) == (True, SETS)
    page = (demo.folder / "report.html").read_text(encoding="utf-8")
    assert "int8" in page
    assert "not audited" not in page
    assert str(demo.data.parent) not in page


def test_its_audit_has_conditions_only_where_a_kind_names_some() -> None:
    captions = Dataset(Path(), (Example("a", "eval", ("one",), {"text": "one"}, 1),))
    assert _conditions(captions) == ["--conditions", "text=dropped:5"]
    assert _conditions(Dataset(Path(), ())) == []


def test_its_summary_says_that_a_bundle_never_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_audit(write_run(tmp_path))
    _summarize(Console(soft_wrap=True), tmp_path)
    output = capsys.readouterr().out
    assert "It never answers: with microphone, captions and camera, every answer is unsure." in output


def test_its_steps_and_the_schedule_of_the_sensors_are_visible(demo: DemoRun) -> None:
    assert re.findall(r"^(\d)/6  ", demo.output, re.MULTILINE) == list("123456")
    first, trained, _ = re.split(r"^[23]/6  ", demo.output, flags=re.MULTILINE)
    assert re.search(r"about \d:\d\d:\d\d on this machine", first)
    assert "on this machine" not in trained
    changes = re.findall(r"---- (\w+) (unplugged|attached)", demo.output)
    assert changes == [
        ("microphone", "attached"), ("captions", "attached"), ("camera", "attached"), ("camera", "unplugged"),
        ("microphone", "unplugged"), ("camera", "attached"), ("microphone", "attached"),
    ]  # fmt: skip
    *_, done, live = demo.output.splitlines()
    assert done.endswith(str(demo.folder / "report.html"))
    assert live == f"Open the live page: sensemble serve {demo.folder / 'bundle'} --demo"


def test_started_again_it_goes_on(demo: DemoRun, here: Sensemble, tmp_path: Path) -> None:
    folder = copytree(demo.folder, tmp_path / "run")
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    page = folder / "report.html"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    result = here(*(folder if given == demo.folder else given for given in demo.arguments))
    assert result.returncode == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert "already exported" in result.stdout
    assert "already audited" in result.stdout
    assert "on this machine" not in result.stdout
    made = re.compile(r"<time.*?</time>|<dt>Report made.*?</dd>", re.DOTALL)
    assert made.sub("", page.read_text(encoding="utf-8")) == made.sub("", before)


@pytest.mark.parametrize(
    ("options", "encoders"),
    [
        ((), "audio whisper-tiny.en, text minilm, video from scratch"),
        (
            ("--from-scratch", "--encoder", "text=minilm"),
            "audio from scratch, text minilm, video from scratch",
        ),
    ],
)
def test_it_takes_the_pretrained_encoders_that_are_there_and_says_which(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    encoders: str,
) -> None:
    monkeypatch.setattr("sensemble_train.recipe.estimate.estimate", lambda *_: [])  # takes seconds
    data = write_dataset(tmp_path / "colours", {"pretrain": 2, "train": 2, "eval": 1})
    given = ("train", "--data", data, "--estimate", *options)
    assert main([str(each) for each in given]) == 0
    assert f"encoders: {encoders}\n" in capsys.readouterr().err
