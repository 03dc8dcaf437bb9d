"""An output of another package is found by its entry point, and shown all that a run says."""

import subprocess
import sys
from pathlib import Path

import pytest
from sensemble_apps.errors import InputError
from sensemble_apps.running.outputs import open_output
from sensemble_runtime.bundle.bundle import Bundle

from tests.apps.conftest import COMMAND

OUTSIDE = """
from contextlib import contextmanager
from pathlib import Path

class Kinds:
    def __init__(self, path):
        self.path = path

    def show(self, event):
        with self.path.open("a") as file:
            file.write(type(event).__name__ + "\\n")

@contextmanager
def kinds(argument, bundle):
    assert bundle.modalities == ("audio", "text", "video")
    yield Kinds(Path(argument))
"""


@pytest.mark.real
def test_an_output_of_another_package(
    bundle_folder: Path, dataset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside_output.py").write_text(OUTSIDE)
    info = tmp_path / "outside_output-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-output\nVersion: 1\n")
    names = "[sensemble.outputs]\nkinds = outside_output:kinds\nbroken = gone:made\nnumber = math:pi\n"
    (info / "entry_points.txt").write_text(names)
    out = tmp_path / "kinds.txt"
    command = ["run", bundle_folder, "--replay", dataset_folder, "--limit", "3", "--output", f"kinds={out}"]
    found = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin"}
    command = [sys.executable, COMMAND, *command]
    result = subprocess.run(command, env=found, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    kinds = out.read_text().split()
    assert kinds[0] == "Opened"
    assert kinds.count("Predicted") == 3
    assert "Event" in kinds
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"sensemble.outputs broken: gone:made cannot be loaded .*install"):
        open_output("broken=x", Bundle.open(bundle_folder))
    with pytest.raises(InputError, match=r"sensemble.outputs number: math:pi cannot be loaded .*no function"):
        open_output("number=x", Bundle.open(bundle_folder))


def test_an_output_that_there_is_not_is_refused_with_those_that_there_are(bundle_folder: Path) -> None:
    with pytest.raises(InputError, match="heartbeats, mqtt"):
        open_output("mqqt=x", Bundle.open(bundle_folder))
