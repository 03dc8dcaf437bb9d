"""The test vectors hold all that they need, and the runtime follows its own."""

import json
from pathlib import Path

import pytest
from sensemble_runtime.bundle.judge import DOUBTS
from sensemble_runtime.bundle.manifest import Task

from tests.vectors import SPECS, expected, write


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_the_runtime_replays_its_vectors(task: Task, tmp_path: Path) -> None:
    vectors = json.loads((write(tmp_path, task) / "vectors.json").read_text(encoding="utf-8"))
    found = expected(vectors["inputs"], tmp_path)
    assert found == vectors["expected"]

    doubts = {answer["whole"]["doubt"] for answer in found["answers"]}
    assert doubts == {*DOUBTS} - ({"contradiction"} if task == "multi-label" else set())
    nearest = {len(one["nearest"] or ()) for one in found["many"]["answers"]}
    assert nearest == {0, 1, 2, 6}  # of seven modalities
    assert {*found["suspects"]} == {None, "video"}
    made = [step["prediction"] for step in found["stream"] if step["prediction"]]
    assert {len(one["live"]) for one in made} == {1, 2, 3}
    assert any(one["unfamiliar"] for one in made)
    assert {modality for one in made for modality in one["levels"]} == {*SPECS} - {"text"}
