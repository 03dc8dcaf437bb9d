"""`sensemble train --instant`: from takes to a bundle, with what it is worth."""

import json
from pathlib import Path

import pytest
from sensemble_apps.cli import main
from sensemble_runtime import Bundle

from tests.train.recipe.test_instant import takes
from tests.train.tiny import ENCODERS

GIVEN = [argument for m, source in ENCODERS.items() for argument in ("--encoder", f"{m}={source}")]


@pytest.mark.usefixtures("lowered_once")
def test_it_writes_a_bundle_and_says_how_right_it_is_about_takes_left_out(
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
