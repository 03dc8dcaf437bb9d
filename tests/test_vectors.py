"""The test vectors hold all that they need, and the runtime follows its own."""

import json
from pathlib import Path

import pytest
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.engine.answer import DOUBTS
from sensemble_runtime.engine.belief import RARE

from tests.vectors import SPECS, expected, write


@pytest.mark.parametrize("task", ["multi-class", "multi-label"])
def test_the_runtime_replays_its_vectors(task: Task, tmp_path: Path) -> None:
    vectors = json.loads((write(tmp_path, task) / "vectors.json").read_text(encoding="utf-8"))
    found = expected(vectors["inputs"], tmp_path)
    assert found == vectors["expected"]

    assert {one["doubt"] for answer in found["answers"] for one in answer["sets"].values()} == {*DOUBTS}
    surer = 0
    for case, fused in zip(vectors["inputs"]["fused"], found["fused"], strict=True):
        tops = {opinion.index(max(opinion)) for opinion in case["opinions"]}
        if (
            task == "multi-class"
            and len(tops) == 1
            and {*case["lies"], RARE, *(one["lies"] for one in case["devices"])} == {RARE}
        ):
            surest = max(max(opinion) for opinion in case["opinions"])
            assert max(fused) >= surest - 1e-9  # one that agrees makes nothing less sure
            surer += len(case["lies"]) > 1 and abs(max(fused) - surest) < 1e-9  # a part of them, one alone
    assert surer or task == "multi-label"
    suspects = [step["suspect"] for step in found["beliefs"]]
    assert {*suspects[:200]} == {None, "video"}
    last = found["beliefs"][-1]["lies"]
    assert {*suspects[210:]} == {None}  # of two that contradict each other, either may be wrong
    assert min(last["audio"], last["video"]) > RARE > last["text"] / 2
    turned = [step["suspect"] for step in found["turns"]]
    assert "audio+video" in turned[40:100]
    assert {*turned[:40]} == {None}
    made = [step["prediction"] for step in found["stream"] if step["prediction"]]
    assert {len(one["live"]) for one in made} == {1, 2, 3}
    assert any(one["unfamiliar"] for one in made)
    assert {modality for one in made for modality in one["levels"]} == {*SPECS} - {"text"}
