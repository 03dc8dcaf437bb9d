"""The engine answers the scripts that ports replay."""

import json
from pathlib import Path

import pytest

from tests.runtime.engine.script import FOLDER, STORIES, answering, replay, spared, tells, timed

SCRIPTS = sorted(path for path in FOLDER.glob("*.json") if path.stem not in ("bundle", "sparing", "timeline"))
ANEW = "run `python -m tests.runtime.engine.script`"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_engine_answers_a_script(path: Path) -> None:
    steps = json.loads(path.read_text(encoding="utf-8"))
    story = path.stem.replace("_", " ")
    again = json.loads(json.dumps(replay(story, steps)))
    assert again == steps, ANEW
    assert tells(story, steps)


def test_every_story_has_a_script() -> None:
    assert {path.stem.replace("_", " ") for path in SCRIPTS} == {*STORIES}, ANEW
    for name, drawn in (
        ("bundle", answering()),
        ("sparing", spared()),
        ("timeline", [timed(12.0), timed(2.0)]),
    ):
        kept = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert kept == json.loads(json.dumps(drawn)), ANEW
