"""The engine answers the scripts that ports replay."""

import json
from pathlib import Path

import pytest

from tests.runtime.engine.script import FOLDER, STORIES, answering, replay, tells

SCRIPTS = sorted(path for path in FOLDER.glob("*.json") if path.stem != "bundle")
ANEW = "run `python -m tests.runtime.engine.script`"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_engine_answers_a_script(path: Path) -> None:
    steps = json.loads(path.read_text(encoding="utf-8"))
    again = json.loads(json.dumps(replay(steps)))
    assert again == steps, ANEW
    assert tells(path.stem.replace("_", " "), steps)


def test_every_story_has_a_script() -> None:
    assert {path.stem.replace("_", " ") for path in SCRIPTS} == {*STORIES}, ANEW
    bundle = json.loads((FOLDER / "bundle.json").read_text(encoding="utf-8"))
    assert bundle == json.loads(json.dumps(answering())), ANEW
