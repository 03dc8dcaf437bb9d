import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from sensemble_apps.commands.audit import measure
from sensemble_apps.commands.report import write_page
from sensemble_apps.errors import InputError
from sensemble_apps.pages import evidence
from sensemble_apps.runs.matrices import as_fractions, read_matrices
from sensemble_runtime.errors import MatrixError

from tests.apps.clips import write_dataset
from tests.apps.conftest import DemoRun, Refusal, Sensemble, matrices, write_matrix
from tests.apps.html_page import Page
from tests.apps.shipped import write_audit, write_run


def test_json_has_the_documented_shape_and_the_papers_metrics(sensemble: Sensemble, tmp_path: Path) -> None:
    methods = matrices()
    result = sensemble("report", "--matrix", write_matrix(tmp_path / "m.json", methods), "--json")
    assert (result.returncode, result.stderr) == (0, "")
    summary = json.loads(result.stdout)["methods"]
    assert summary.keys() == methods.keys()
    for method, matrix in methods.items():
        rows = [list(row.values()) for row in matrix.values()]
        overall = {
            "p_best": max(map(fmean, rows)),
            "r_best": max(map(min, rows)),
            "p": fmean(map(fmean, rows)),
            "r": fmean(map(min, rows)),
        }
        assert {key: summary[method][key] for key in overall} == pytest.approx(overall)
        assert summary[method].keys() == {*overall, "missing", "added", "transfer"}
        assert all(summary[method][s].keys() == {"p", "r"} for s in ("missing", "added", "transfer"))


def test_json_keeps_the_scale_and_has_null_for_what_cannot_be(sensemble: Sensemble, tmp_path: Path) -> None:
    matrix = write_matrix(tmp_path / "m.json", {"a": {"audio": {"audio": 40.0, "video": 20.0}}})
    summary = json.loads(sensemble("report", "--matrix", matrix, "--json").stdout)["methods"]["a"]
    assert summary["p"] == 30.0
    assert summary["missing"] == {"p": None, "r": None}


BAD: Mapping[str, tuple[Any, str]] = {
    "unsorted": ({"a": {"video+audio": {"audio": 0.1}}}, "audio+video"),
    "unsorted evaluation": ({"a": {"audio": {"video+audio": 0.1}}}, "audio+video"),
    "no name": ({"a": {"a smell": {"audio": 0.1}}}, "a smell"),
    "repeated": ({"a": {"audio+audio": {"audio": 0.1}}}, "audio+audio"),
    "no number": ({"a": {"audio": {"audio": "high"}}}, "high"),
    "hole": ({"a": {"audio": {"audio": 0.1, "text": 0.1}, "text": {"text": 0.2}}}, "audio"),
    "null": ({"a": {"audio": {"audio": None}}}, "audio -> audio is None"),
    "a null row": ({"a": {"audio": {"audio": 0.1}, "text": None}}, "row text"),
    "no methods": ({}, "methods"),
    "a list": ([], "methods"),
    "no rows": ({"a": {}}, "a"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_matrix_is_refused_by_name(tmp_path: Path, case: str) -> None:
    methods, reported = BAD[case]
    with pytest.raises(MatrixError) as refusal:
        read_matrices(write_matrix(tmp_path / "m.json", methods))
    assert "m.json" in str(refusal.value)
    assert reported in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b'{"methods": 3}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_matrix_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises((InputError, MatrixError), match=str(path)):
        read_matrices(path)


@pytest.mark.parametrize("score", [-0.1, 100.5])
def test_scores_on_no_scale_are_refused_for_the_page(score: float) -> None:
    with pytest.raises(MatrixError):
        as_fractions({"a": {"audio": {"audio": score}}})


def test_per_cent_becomes_fractions() -> None:
    assert as_fractions({"a": {"audio": {"audio": 40, "video": 0.5}}})["a"]["audio"] == {
        "audio": 0.4,
        "video": 0.005,
    }


def test_the_command_refuses_with_one_line(refusal: Refusal, tmp_path: Path) -> None:
    bad = write_matrix(tmp_path / "m.json", BAD["unsorted"][0])
    assert "write audio+video" in refusal("report", "--matrix", bad, "--json")
    good = write_matrix(tmp_path / "g.json", matrices("video"))
    assert "not both" in refusal("report", tmp_path, "--matrix", good)
    assert "not both" in refusal("report")
    assert "matrix.json" in refusal("report", tmp_path)
    assert "run folder" in refusal("report", good)
    assert "page.html" in refusal("report", "--matrix", good, "--out", good / "page.html")


def test_the_page_goes_where_it_is_asked(sensemble: Sensemble, tmp_path: Path) -> None:
    matrix = write_matrix(tmp_path / "matrix.json", matrices("video"))
    out = tmp_path / "pages" / "page.html"
    result = sensemble("report", "--matrix", matrix, "--out", out)
    assert (result.returncode, result.stdout) == (0, f"{out}\n")
    assert [path.name for path in out.parent.iterdir()] == ["page.html"]
    assert sensemble("report", tmp_path).stdout == f"{tmp_path / 'report.html'}\n"


def test_which_page_a_folder_gets(tmp_path: Path) -> None:
    several = tmp_path / "several"
    for pretraining, data in (("mae", "/home/me/digits"), ("contrastive", "/home/me/digits")):
        (several / pretraining / "pretrained").mkdir(parents=True)
        write_matrix(several / pretraining / "matrix.json", matrices())
        config = json.dumps({"data": data, "seed": 3, "probe": {"steps": 9}})
        (several / pretraining / "config.json").write_text(config, encoding="utf-8")
        model = several / pretraining / "pretrained" / "model.json"
        model.write_text('{"task": "multi-label"}', encoding="utf-8")
    text = Page(write_page(several, tmp_path / "several.html").read_text(encoding="utf-8")).text
    assert "Sensemble experiment · digits" in text
    assert "mAP with the worst set of sensors" in text
    assert text.index("Contrastive") < text.index("MAE")
    assert "Mae seed 3, probe steps 9" in text
    assert "/home/me" not in text

    run = tmp_path / "run"
    run.mkdir()
    write_audit(write_run(run))
    assert "Sensemble report" in write_page(run, tmp_path / "run.html").read_text(encoding="utf-8")
    assert "Sensemble experiment · colours" in Page((tmp_path / "experiment.html").read_text("utf-8")).text
    shutil.rmtree(run / "bundle")
    unshipped = Page(write_page(run, tmp_path / "run.html").read_text(encoding="utf-8")).text
    assert "Sensemble experiment · colours" in unshipped
    assert "Seed 7" in unshipped


def test_no_audit_of_other_data_is_taken_for_one_of_the_runs(demo: DemoRun, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(demo.folder, run, ignore=shutil.ignore_patterns("models", "pretrained"))
    record = run / "audit.sqlite"
    own = evidence.of_run(run)
    assert own.audits.scores["audio"].n == 6
    clips = write_dataset(tmp_path / "clips", {"eval": 1})
    for data, split in ((clips, "eval"), (demo.data, "train")):
        measure(run / "bundle", data, split, record)
    found = evidence.of_run(run)
    assert found.audits.scores == own.audits.scores
    text = Page(write_page(run, tmp_path / "page.html").read_text(encoding="utf-8")).text
    assert "also has audits of the bundle on clips, split eval; colours, split train, which do not" in text
    record.unlink()
    measure(run / "bundle", clips, "eval", record)
    with pytest.raises(InputError, match="was not audited on colours, split eval; `sensemble audit "):
        evidence.of_run(run)


def described(run: Path, config: Mapping[str, object], labels: tuple[str, ...] = ("a", "b")) -> Path:
    """A run that a page can be made of, with its settings."""
    (run / "pretrained").mkdir(parents=True)
    write_matrix(run / "matrix.json", matrices())
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = json.dumps({"task": "multi-label", "labels": labels})
    (run / "pretrained" / "model.json").write_text(model, encoding="utf-8")
    return run


def test_runs_of_several_datasets_make_no_page(refusal: Refusal, tmp_path: Path) -> None:
    described(tmp_path / "one", {"data": "/data/audioset"})
    described(tmp_path / "other", {"data": "/data/kinetics"})
    reported = "one of audioset; other of kinetics); give one run, or a folder of the runs of one dataset"
    assert reported in refusal("report", tmp_path)
    shutil.rmtree(tmp_path / "other")
    described(tmp_path / "moved", {"data": "/elsewhere/audioset"})
    assert len(evidence.of_experiment(tmp_path).pretrainings) == 2
    described(tmp_path / "namesake", {"data": "/again/audioset"}, ("c", "d"))
    assert "moved, one of audioset; namesake of audioset" in refusal("report", tmp_path)


def test_a_run_is_named_by_its_pretraining_wherever_that_was(tmp_path: Path) -> None:
    def run(name: str, objective: str, *, steps: int = 9, initialize: str = "") -> Path:
        config = {"data": "d", "initialize": initialize, "pretrain": {"objective": objective, "steps": steps}}
        return described(tmp_path / name, config)

    masked = run("audioset/a", "mae")
    run("audioset/b", "contrastive", initialize="ViT-B-16.pt")
    assert set(evidence.of_experiment(tmp_path / "audioset").pretrainings) == {"contrastive", "mae"}
    run("kinetics/a", "contrastive", steps=0, initialize=str(masked / "pretrained"))
    run("kinetics/b", "contrastive", steps=0, initialize="ViT-B-16.pt")
    run("kinetics/c", "contrastive", steps=0, initialize="gone/pretrained")
    run("kinetics/d", "contrastive")
    pretrainings = list(evidence.of_experiment(tmp_path / "kinetics").pretrainings)
    assert pretrainings == ["mae", "Contrastive (b)", "c", "Contrastive (d)"]
    assert list(evidence.of_experiment(tmp_path / "kinetics" / "a").pretrainings) == ["mae"]


UNFINISHED: Mapping[str, tuple[Any, str]] = {
    "a list of rows": ({"a": [1]}, "a"),
    "a row that is none": ({"a": {"audio": 3}}, "a"),
    "a method that is none": ({"a": None}, "a"),
    "nothing": ({"a": {}}, "no score"),
    "only null": ({"a": {"audio": {"audio": None}}}, "no score"),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_what_an_unfinished_matrix_may_not_be(tmp_path: Path, case: str) -> None:
    methods, reported = UNFINISHED[case]
    with pytest.raises(MatrixError) as refusal:
        write_page(write_matrix(tmp_path / "m.json", methods), tmp_path / "page.html")
    assert "m.json" in str(refusal.value)
    assert reported in str(refusal.value)
    assert not (tmp_path / "page.html").exists()


def test_json_still_refuses_gaps(refusal: Refusal, tmp_path: Path) -> None:
    gap = {"a": {"audio": {"audio": 0.1, "text": None}, "text": {"audio": 0.2, "text": 0.3}}}
    matrix = write_matrix(tmp_path / "m.json", gap)
    assert "audio -> text is None" in refusal("report", "--matrix", matrix, "--json")
    write_page(matrix, tmp_path / "page.html")
