"""From a folder of clips to a bundle and a page, by one command."""

import json
import re
from pathlib import Path
from shutil import copytree

import pytest
from sensemble_apps.cli import main
from sensemble_apps.commands.demo import _conditions
from sensemble_apps.results.matrices import read_matrices
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.record.reader import read_runs
from sensemble_sensors.media.dataset import Dataset, Example

from tests.apps.clips import write_dataset
from tests.apps.conftest import MODALITIES, DemoRun, Refusal, Sensemble

SETS = {subsets.name(subset) for subset in subsets.subsets(MODALITIES)}


def test_it_trains_only_what_ships(demo: DemoRun) -> None:
    (matrix,) = read_matrices(demo.folder / "matrix.json").values()
    assert matrix.keys() == {"video"}
    assert matrix["video"].keys() == SETS
    assert all(0 <= score <= 1 for score in matrix["video"].values())
    models = {path.name for path in (demo.folder / "models").iterdir()}
    assert models == {"linear_probe", "masd", "subset"}, "MASD teaches where sensors have no labels"


def test_it_leaves_a_bundle_that_opens_and_says_where_it_is_from(demo: DemoRun) -> None:
    bundle = Bundle.open(demo.folder / "bundle")
    assert bundle.modalities == MODALITIES
    assert set(bundle.manifest.labels) == {"zero", "one", "two"}
    made = bundle.manifest.provenance
    assert (made.train_modalities, made.dataset) == (("video",), "colours")
    assert made.method == "subset"


def test_held_out_windows_are_this_users_alone(demo: DemoRun) -> None:
    folder = demo.folder / "held-out-windows-of-bundle"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder, *folder.iterdir()))


def test_it_audits_every_set(demo: DemoRun) -> None:
    (run,) = read_runs(demo.folder / "audit.sqlite")
    assert run.ended is not None
    assert run.scores.keys() == SETS


@pytest.mark.parametrize(
    ("dataset", "option"),
    [
        (
            Dataset(Path(), (Example("a", "eval", ("one",), {"text": "one"}, 1),)),
            ["--conditions", "text=dropped:5"],
        ),
        (Dataset(Path(), ()), []),
    ],
)
def test_its_audit_has_conditions_only_where_a_kind_names_some(dataset: Dataset, option: list[str]) -> None:
    assert _conditions(dataset) == option


def test_its_steps_and_the_schedule_of_the_sensors_are_visible(demo: DemoRun) -> None:
    assert re.findall(r"^(\d)/6  ", demo.output, re.MULTILINE) == list("123456")
    first, trained, _ = re.split(r"^[23]/6  ", demo.output, flags=re.MULTILINE)
    assert re.search(r"about \d:\d\d:\d\d on this machine", first)
    assert "on this machine" not in trained
    changes = re.findall(r"---- (\w+) (detached|attached)", demo.output)
    assert changes == [
        ("microphone", "attached"),
        ("captions", "attached"),
        ("camera", "attached"),
        ("camera", "detached"),
        ("microphone", "detached"),
        ("camera", "attached"),
        ("microphone", "attached"),
    ]
    *_, done, live = demo.output.splitlines()
    assert done.endswith(str(demo.folder / "report.html"))
    assert live == f"Open the live page: sensemble serve {demo.folder / 'bundle'} --demo"


def test_its_page_has_float_and_int8_scores(demo: DemoRun) -> None:
    page = (demo.folder / "report.html").read_text(encoding="utf-8")
    assert "int8" in page
    assert "not audited" not in page
    assert str(demo.data.parent) not in page


def test_started_again_it_goes_on_after_what_is_finished(
    demo: DemoRun, sensemble: Sensemble, tmp_path: Path
) -> None:
    folder = copytree(demo.folder, tmp_path / "run")
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    page = folder / "report.html"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    result = sensemble(*(folder if given == demo.folder else given for given in demo.arguments))
    assert result.returncode == 0, result.stderr
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert "already exported" in result.stdout
    assert "already audited" in result.stdout
    assert "on this machine" not in result.stdout
    made = re.compile(r"<time.*?</time>|<dt>Report made.*?</dd>", re.DOTALL)
    assert made.sub("", page.read_text(encoding="utf-8")) == made.sub("", before)


def test_what_cannot_be_exported_of_a_run_is_one_line(demo: DemoRun, refusal: Refusal) -> None:
    assert "audio" in refusal("export", demo.folder, "--train-modalities", "audio")
    assert "no method 'best'" in refusal("export", demo.folder, "--method", "best")
    assert "unknown target 'tflite'" in refusal("export", demo.folder, "--target", "tflite")
    assert "int3" in refusal("export", demo.folder, "--scheme", "audio=int3")
    assert "write size=20MB" in refusal("export", demo.folder, "--budget", "size=1GB")
    both = ("--budget", "drop=1", "--scheme", "audio=fp32")
    assert "give one of them" in refusal("export", demo.folder, *both)


def test_a_bundle_is_verified_where_it_is(demo: DemoRun, sensemble: Sensemble, refusal: Refusal) -> None:
    result = sensemble("export", "verify", demo.folder / "bundle")
    assert result.returncode == 0, result.stderr
    rows = [line.split() for line in result.stdout.splitlines() if "executorch-xnnpack" in line]
    assert [row[0] for row in rows] == list(MODALITIES)
    assert all(float(row[3]) > 0.98 for row in rows)
    assert f"did you mean {demo.folder / 'bundle'}?" in refusal("export", "verify", demo.folder)


@pytest.mark.parametrize(
    ("options", "encoders"),
    [
        ((), "audio whisper-tiny.en, text minilm, video from scratch"),
        (("--from-scratch",), "audio from scratch, text from scratch, video from scratch"),
        (
            ("--from-scratch", "--encoder", "text=minilm"),
            "audio from scratch, text minilm, video from scratch",
        ),
    ],
)
def test_it_takes_the_pretrained_encoders_that_are_there_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], encoders: str
) -> None:
    data = write_dataset(tmp_path / "colours", {"pretrain": 2, "train": 2, "eval": 1})
    given = ("train", "--data", data, "--estimate", *options)
    assert main([str(each) for each in given]) == 0
    assert f"encoders: {encoders}\n" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--train-modalities", "audio+"), ("--effort", "0")])
def test_bad_options_are_one_line(
    demo: DemoRun, refusal: Refusal, tmp_path: Path, option: str, value: str
) -> None:
    assert refusal("train", "--data", demo.data, "--out", tmp_path / "run", option, value)


def test_an_instant_head_takes_no_teacher(refusal: Refusal, tmp_path: Path) -> None:
    assert "--instant, --teacher: give one" in refusal("train", "--instant", "--teacher", tmp_path)


def test_a_bad_dataset_is_one_line(refusal: Refusal, tmp_path: Path) -> None:
    line = json.dumps({"id": "a", "split": "exam"})
    (tmp_path / "index.jsonl").write_text(f"{line}\n", encoding="utf-8")
    assert "index.jsonl:1" in refusal("train", "--data", tmp_path, "--out", tmp_path / "run")
