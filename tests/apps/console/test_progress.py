"""Progress as lines of JSON, which programs follow."""

import json

import pytest
from sensemble_apps.console.progress import stages


def test_progress_in_json_has_the_beginning_and_the_end_of_each_stage_and_is_bounded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with stages(in_json=True) as advance:
        for stage in ("pretrain", "finetune"):
            for step in range(1, 1001):
                advance(stage, step, 1000)
    output, errors = capsys.readouterr()
    lines = [json.loads(line) for line in output.splitlines()]
    for stage in ("pretrain", "finetune"):
        steps = [line["done"] for line in lines if line["stage"] == stage]
        assert (steps[0], steps[-1], sorted(steps)) == (1, 1000, steps)
        assert len(steps) < 100
    assert all(line.keys() == {"stage", "done", "total"} for line in lines)
    assert errors == ""
