"""The scripts of `apps/examples`, run as a reader runs them, import the public surface alone."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from tests.apps.conftest import DemoRun

pytestmark = pytest.mark.real

EXAMPLES = Path(__file__).parents[3] / "apps" / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def run(script: str, *arguments: str | Path) -> str:
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_an_example_is_short_and_imports_no_deep_path(script: Path) -> None:
    source = script.read_text(encoding="utf-8")
    imported = [node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    assert [name for name in imported if str(name).startswith("sensemble") and "." in str(name)] == []
    assert 20 <= len([line for line in source.splitlines() if line]) <= 40


def test_train_and_export(demo: DemoRun, tmp_path: Path) -> None:
    data = copytree(demo.data, tmp_path / "data")  # only films, to be quick
    index = data / "index.jsonl"
    index.write_text(re.sub(', "(audio|text)": "[^"]+"', "", index.read_text("utf-8")), "utf-8")
    *scores, bundle = run("train_and_export.py", data, tmp_path / "run", "2").splitlines()
    assert len(scores) == 1
    assert (Path(bundle) / "manifest.json").is_file()


def test_own_sensor(bundle_folder: Path) -> None:
    lines = run("own_sensor.py", bundle_folder).splitlines()
    assert any(line.startswith("video: ") for line in lines)
    assert any("kind='ended'" in line for line in lines)


def test_record_label_audit(demo: DemoRun, bundle_folder: Path, tmp_path: Path) -> None:
    takes = [f"{label}={demo.data}/eval-{label}-0.mkv" for label in ("zero", "one")]
    (line,) = run("record_label_audit.py", bundle_folder, tmp_path / "taken", *takes).splitlines()
    assert line.startswith("video: ")
    assert (tmp_path / "taken.sqlite").is_file()


def test_compare_bundles(demo: DemoRun, bundle_folder: Path) -> None:
    lines = run("compare_bundles.py", bundle_folder, bundle_folder, demo.data).splitlines()
    assert len(lines) == 7 + 2
    assert lines[-1].endswith("(0 gained, 0 lost, p 1)")


def test_in_asyncio(demo: DemoRun, bundle_folder: Path) -> None:
    lines = run("in_asyncio.py", bundle_folder, demo.data).splitlines()
    assert any(line.startswith("audio+text+video: ") for line in lines)
    assert "tick" in lines
