"""Setting up: what is missing is said in a line, and CI finds the Pythons that it runs on."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[1]


def test_without_a_compiler_one_line_says_what_to_install(tmp_path: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv
    command = [uv, "build", "--wheel", "--out-dir", tmp_path / "dist", "--python", sys.executable, "runtime"]
    without = {name: value for name, value in os.environ.items() if name != "CXX"} | {"PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=without, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    (line,) = (line.strip() for line in done.stderr.splitlines() if "sensemble-runtime:" in line)
    assert "needs a C++ compiler" in line
    assert "`apt-get install g++" in line
    assert "CMake" not in done.stderr + done.stdout


def test_ci_takes_the_newest_python_of_pyenv_where_uv_finds_none(tmp_path: Path) -> None:
    for version in ("2.0.9", "2.0.10"):
        program = tmp_path / "versions" / version / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.touch()
    assert found("2.0", tmp_path) == str(tmp_path / "versions" / "2.0.10" / "bin" / "python")


def test_ci_leaves_a_python_that_nobody_has_to_uv(tmp_path: Path) -> None:
    assert found("2.1", tmp_path) == "2.1"


def test_what_ci_tests_on_the_other_pythons_exists() -> None:
    named = re.findall(r"tests/\S+", (ROOT / ".ci" / "other").read_text(encoding="utf-8"))
    subprocess.run(["bash", "-c", f"ls -d {' '.join(named)}"], cwd=ROOT, check=True)


def found(version: str, pyenv: Path) -> str:
    command = [ROOT / ".ci" / "find-python", version]
    done = subprocess.run(
        command, env=os.environ | {"PYENV_ROOT": str(pyenv)}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
