"""Progress as lines: of JSON, which programs follow, and in a log."""

import json
import re
import threading

import pytest
from sensemble_apps.console.progress import stages
from sensemble_sensors.clock import VirtualClock

from tests.waiting import wait_until


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


def test_a_log_says_again_and_again_what_is_done_and_how_long_it_takes_even_within_a_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock, threads, written = VirtualClock(), {*threading.enumerate()}, ""

    def told() -> list[str]:
        nonlocal written
        clock.advance(60)
        written += capsys.readouterr().err
        return re.sub(r"\d:\d\d:\d\d", "TIME", written).splitlines() or [""]

    with stages(clock=clock) as advance:
        advance("lower", 0, 3)
        advance("decode", 2, 2)
        advance("decode", 1, 4)
        for line in "lower: 0%", "decode: 25%, TIME left":
            wait_until(lambda line=line: told().count(line) > 1)
        advance("lower", 3, 3)
        advance("decode", 4, 4)
        wait_until(lambda: told()[-1] == "after decode: still at work")
    assert {*threading.enumerate()} <= threads, "its thread has ended: no line comes later"
