from collections.abc import Callable
from pathlib import Path

Refusal = Callable[..., str]


def test_one_thing_at_a_time_is_asked_for(refusal: Refusal, tmp_path: Path) -> None:
    for given in ((), ("--show", "--replay", str(tmp_path))):
        assert "give --replay FOLDER to learn from it, or --show" in refusal("adapt", tmp_path, *given)


def test_a_fast_replay_does_not_adapt(refusal: Refusal, tmp_path: Path) -> None:
    line = refusal("run", tmp_path, "--replay", tmp_path, "--fast", "--adapt")
    assert "--adapt is for real time; `sensemble adapt --replay`" in line
