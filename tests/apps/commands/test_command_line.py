"""Every command: its name, how it starts and stops, and its needs on a board without extras."""

import json
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.apps.conftest import COMMAND, DemoRun, Sensemble
from tests.apps.without import run_without
from tests.waiting import PATIENCE

pytestmark = pytest.mark.real

# A board has what `sensemble-apps` installs without its extra.
on_a_board = partial(run_without, "torch,torchaudio,onnx,sensemble_train,sensemble_export")


def test_a_board_needs_neither_torch_nor_training_nor_export(demo: DemoRun, tmp_path: Path) -> None:
    bundle, record = demo.folder / "bundle", tmp_path / "record.sqlite"
    for arguments in (
        ("doctor",),
        ("run", bundle, "--replay", demo.data, "--fast", "--limit", "1"),
        ("audit", bundle, "--data", demo.data, "--record", record),
        ("history", record),
        ("record", tmp_path / "clips", "--media", demo.data / "eval-one-0.mkv"),
        ("report", demo.folder, "--out", tmp_path / "page.html"),
        ("data", "show", demo.data),
    ):
        result = on_a_board(*arguments)
        assert result.returncode == 0, result.stderr
        assert result.stdout


def test_ctrl_c_while_it_is_still_importing_is_one_line() -> None:
    program = """
import os, signal, sys
class Stop:
    def find_spec(self, name, *_):
        if name == "argparse":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop())
from sensemble_apps.cli import main
main()
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "sensemble: interrupted\n")


def test_with_a_closed_output_it_just_works(dataset_folder: Path) -> None:
    for closed in (">&-", ">&- 2>&- <&-"):
        command = ["sh", "-c", f'exec "$0" data show "$1" {closed}', COMMAND, dataset_folder]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert (result.returncode, result.stderr) == (0, "")


def test_its_version_is_printed_before_anything_heavy_is_imported(sensemble: Sensemble) -> None:
    assert sensemble("--version").stdout == f"sensemble {version('sensemble-apps')}\n"
    program = """
import sys
from sensemble_apps.cli import main
main(["--version"])
assert sys.modules.keys().isdisjoint(("argparse", "jinja2", "numpy", "rich"))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)


def test_the_lists_of_help_are_complete(sensemble: Sensemble) -> None:
    listed = sensemble("--help").stdout
    assert sensemble("help").stdout == listed
    for name in ("train matrix", "export verify", "--version"):
        assert f"\n  {name} " in listed
    commands = listed.partition("commands:\n")[2]
    assert all(line.strip().split("  ", 1)[1] for line in commands.splitlines()), "each has its line"
    assert "see also `sensemble train matrix --help`" in " ".join(sensemble("train", "--help").stdout.split())
    assert "see also `sensemble export verify --help`" in " ".join(
        sensemble("export", "--help").stdout.split()
    )


def test_two_lines_of_captions_are_two_answers(sensemble: Sensemble, bundle_folder: Path) -> None:
    result = sensemble("run", bundle_folder, "--captions", "-", "--json", text="this is one\nthis is two\n")
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len([answer for answer in answers if answer.get("live") and "best" in answer]) == 2


RUN = "run {bundle} --replay {data} --limit 2"
NEEDED = [
    ("av", "media", RUN),
    ("av", "media", f"{RUN} --fast"),
    ("tokenizers", "text", f"{RUN} --fast"),
    ("pyarrow", "fleet", f"{RUN} --output heartbeats=none"),
    ("opentelemetry", "otlp", f"{RUN} --output otlp=http://127.0.0.1:1"),
    ("rerun", "rerun", f"{RUN} --output rerun=none.rrd"),
    ("sensemble_train", "train", "train --out {out}"),
    ("sensemble_train", "train", "train matrix --help"),
    ("sensemble_export", "train", "export verify ."),
]


@pytest.mark.parametrize(("package", "extra", "command"), NEEDED)
def test_a_command_names_the_extra_that_it_lacks(
    package: str, extra: str, command: str, bundle_folder: Path, dataset_folder: Path, tmp_path: Path
) -> None:
    given = command.format(bundle=bundle_folder, data=dataset_folder, out=tmp_path).split()
    result = run_without(package, *given)
    remedy = f"`pip install 'sensemble-apps[{extra}]'`"
    line = result.stderr.splitlines()[-1]
    assert (result.returncode, line) == (2, f"sensemble: needs {package}, which is not installed; {remedy}")
    assert ("Run an experiment of the paper" in result.stdout) == ("--help" in given)


@pytest.mark.parametrize(("package", "command"), [("starlette", "serve"), ("torch", "export verify")])
def test_help_needs_no_extra(package: str, command: str) -> None:
    result = run_without(package, *command.split(), "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: sensemble {command} ")
