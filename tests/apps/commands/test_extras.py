"""Extras that a board may lack: a command that needs one names it, and its help works without it."""

from pathlib import Path

import pytest

from tests.apps.without import run_without

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
