import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sensemble_apps.commands.audit import Audit, measure
from sensemble_apps.commands.report import write_page
from sensemble_apps.errors import InputError
from sensemble_apps.report import run_contents
from sensemble_apps.tables.matrices import read_matrices
from sensemble_runtime.auditing.robustness import summary
from sensemble_runtime.errors import MatrixError

from tests.apps.clips import write_dataset
from tests.apps.conftest import DemoRun, Sensemble, matrices, write_matrix
from tests.apps.html_page import Page
from tests.apps.shipped import write_audit, write_run


def test_json_has_the_papers_metrics(here: Sensemble, tmp_path: Path) -> None:
    methods = matrices()
    write_matrix(tmp_path / "matrix.json", methods)
    result = here("report", tmp_path, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)["methods"]
    assert found == {method: asdict(summary(matrix)) for method, matrix in methods.items()}


def test_a_training_set_counts_once_every_method_has_finished_it(tmp_path: Path) -> None:
    row = {"audio": 0.1, "text": 0.2}
    half: Any = {"a": {"audio": row, "text": None}, "b": {"audio": row, "text": row}}
    matrix = write_matrix(tmp_path / "matrix.json", half)
    assert read_matrices(matrix) == {"a": {"audio": row}, "b": {"audio": row}}
    write_page(tmp_path, tmp_path / "page.html")


BAD: Mapping[str, tuple[Any, str]] = {
    "per cent": ({"a": {"audio": {"audio": 40}}}, "from 0 to 1"),
    "no number": ({"a": {"audio": {"audio": "high"}}}, "high"),
    "hole": ({"a": {"audio": {"audio": 0.1, "text": 0.1}, "text": {"text": 0.2}}}, "audio"),
    "nothing finished": (
        {"a": {"audio": {"audio": 0.1}}, "b": {"audio": None}},
        "no training set is finished",
    ),
    "a list of rows": ({"a": [1]}, "methods"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_matrix_is_refused_by_name(tmp_path: Path, case: str) -> None:
    methods, reported = BAD[case]
    with pytest.raises(MatrixError) as refusal:
        read_matrices(write_matrix(tmp_path / "m.json", methods))
    assert "m.json" in str(refusal.value)
    assert reported in str(refusal.value)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_matrix_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises((InputError, MatrixError), match=str(path)):
        read_matrices(path)


@pytest.mark.parametrize("content", ["{", "[1]", "[" * 100_000])
def test_settings_that_are_no_object_are_refused_by_name(tmp_path: Path, content: str) -> None:
    (described(tmp_path / "run", {}) / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"run/config.json: "):
        write_page(tmp_path / "run", tmp_path / "page.html")


def written(run: Path, page: Path) -> str:
    """Return the text of the page of a run."""
    write_page(run, page)
    return Page(page.read_text(encoding="utf-8")).text


def test_which_page_a_folder_gets(tmp_path: Path) -> None:
    one = described(tmp_path / "one", {"data": "/home/me/digits", "seed": 3, "probe": {"steps": 9}})
    text = written(one, tmp_path / "one.html")
    assert "Sensemble experiment · digits" in text
    assert "mAP with the worst set of sensors" in text
    assert "/home/me" not in text

    run = tmp_path / "run"
    run.mkdir()
    write_audit(write_run(run))
    assert "Sensemble report" in written(run, tmp_path / "run.html")
    assert "Sensemble experiment · colours" in Page((tmp_path / "experiment.html").read_text("utf-8")).text
    shutil.rmtree(run / "bundle")
    unshipped = written(run, tmp_path / "run.html")
    assert "Sensemble experiment · colours" in unshipped
    assert "Seed 7" in unshipped


def test_no_audit_of_other_data_is_taken_for_one_of_the_runs(demo: DemoRun, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(demo.folder, run, ignore=shutil.ignore_patterns("models", "pretrained"))
    record = run / "audit.sqlite"
    own = run_contents.of_run(run)
    assert own.audit.subsets["audio"].n == 6
    clips = write_dataset(tmp_path / "clips", {"eval": 1})
    for data, split in ((clips, "eval"), (demo.data, "train")):
        measure(Audit(bundle=run / "bundle", data=data, split=split, record=record))
    found = run_contents.of_run(run)
    assert found.audit.subsets == own.audit.subsets
    text = written(run, tmp_path / "page.html")
    assert "also has audits of the bundle on clips, split eval; colours, split train, which do not" in text
    record.unlink()
    measure(Audit(bundle=run / "bundle", data=clips, record=record))
    with pytest.raises(InputError, match="was not audited on colours, split eval"):
        run_contents.of_run(run)


def test_an_audit_of_other_examples_by_the_same_name_is_not_mixed_in(demo: DemoRun, tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other" / demo.data.name
    shutil.copytree(demo.folder, run, ignore=shutil.ignore_patterns("models", "pretrained"))
    shutil.copytree(demo.data, other)
    index = (other / "index.jsonl").read_text(encoding="utf-8").splitlines()
    few = [line for line in index if json.loads(line)["split"] != "eval" or "-0" in json.loads(line)["id"]]
    (other / "index.jsonl").write_text("\n".join(few), encoding="utf-8")
    record = run / "audit.sqlite"
    record.unlink()
    for data, conditions in ((other, ("audio=quiet",)), (demo.data, None), (other, None)):
        measure(Audit(bundle=run / "bundle", data=data, record=record, conditions=conditions))
    text = written(run, tmp_path / "page.html")
    found = run_contents.of_run(run)
    assert (found.audit.examples, found.audit.conditions) == (6, ())
    assert found.others == ("colours, split eval, other examples",)
    now = f"{found.audit.answered.data} of the examples that were answered, which are those of its split eval"
    assert now in text
    (run / "config.json").write_text(json.dumps({"data": str(other)}), encoding="utf-8")
    found = run_contents.of_run(run)
    assert (found.audit.examples, len({one.condition for one in found.audit.conditions})) == (3, 2)


def described(run: Path, config: Mapping[str, object], labels: tuple[str, ...] = ("a", "b")) -> Path:
    """A run that a page can be made of, with its settings."""
    (run / "pretrained").mkdir(parents=True)
    write_matrix(run / "matrix.json", matrices())
    (run / "config.json").write_text(json.dumps(config), encoding="utf-8")
    model = json.dumps({"task": "multi-label", "labels": labels})
    (run / "pretrained" / "model.json").write_text(model, encoding="utf-8")
    return run
