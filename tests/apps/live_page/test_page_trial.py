"""A trial from the page: on the examples of its replay, and on what somebody shows to its sensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sensemble_apps.running import trial
from sensemble_runtime import read_answers, read_runs
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.media.dataset import Example

from .serving import serving

pytestmark = pytest.mark.real


def test_a_replay_gives_what_the_command_gives_and_its_records(
    bundle: Bundle, examples: Sequence[Example], tmp_path: Path
) -> None:
    with serving(bundle, examples, recordings=tmp_path / "recordings") as served, served.viewer() as viewer:
        assert viewer.hello["trial"]["examples"] == len(examples)
        (tmp_path / "trials").touch()  # no folder can be made
        viewer.send(type="trial", unplug="video", labels=[], examples=1)
        failed = viewer.next("state", lambda state: "failed" in (state["trial"] or {}))["trial"]["failed"]
        assert "FileExistsError" in failed or "NotADirectoryError" in failed
        (tmp_path / "trials").unlink()
        viewer.send(type="trial", unplug="video", examples=len(examples))
        found = viewer.next("state", lambda state: "verdict" in (state["trial"] or {}))["trial"]
        page = served.ask("/trial.html")
    scenes = trial.ReplayedScenes(bundle, examples, fast=True)
    arms = trial.arms_of(["camera"], [], bundle.specs)
    (one,) = trial.run(bundle, scenes, arms, 1, 0, lambda *_: None).comparisons(bundle, 0.01).values()
    assert (found["scenes"], found["lost"], found["gained"]) == (one.n, len(one.lost), len(one.gained))
    assert found["shares"][0][2] == f"{100 * one.after.accuracy:.1f}"
    assert page[0] == 200
    assert b"without camera" in page[2]
    assert "unsafe-inline" in page[1]["content-security-policy"]
    (record,) = Path(found["records"]).glob("without-camera.sqlite")
    assert len(read_answers(record, read_runs(record)[-1].id)) == one.n


def test_a_trial_on_sensors_is_left_alone_and_leaves_them_as_they_were_when_it_is_stopped(
    bundle: Bundle, examples: Sequence[Example], tmp_path: Path
) -> None:
    with serving(bundle, examples, recordings=tmp_path / "recordings") as served, served.viewer() as viewer:
        viewer.next("state", lambda state: len(state["live"]) == 3)
        viewer.send(type="unplug", sensor="replay text")
        viewer.send(type="condition", sensor="replay audio", condition="noise", severity=2)
        viewer.next("state", lambda state: state["live"] == ["audio", "video"])
        shown = {"labels": [examples[0].labels[0]], "seconds": 60, "repeat": 1}
        viewer.send(type="trial", unplug="nose", **shown)
        assert viewer.next("refused")["reason"].startswith("unplug nose: ")
        viewer.send(type="trial", unplug="audio+video", **shown)  # and the captions are unplugged
        assert "no sensor is left" in viewer.next("refused")["reason"]
        viewer.send(type="trial", unplug="video", **{**shown, "seconds": 1})
        assert "too short" in viewer.next("refused")["reason"]
        viewer.send(type="trial", unplug="video", **{**shown, "repeat": 1000})
        assert "a day" in viewer.next("refused")["reason"]
        viewer.send(type="trial", unplug="video", condition="video=dark:3", **shown)
        assert "one change" in viewer.next("refused")["reason"]
        viewer.send(type="trial", condition="video=dark:3,video=blur:2", **shown)
        assert "one condition" in viewer.next("refused")["reason"]
        viewer.send(type="trial", condition="video=dark:3", **shown)
        now = viewer.next("state", lambda state: state["trial"])["trial"]
        assert (now["show"], now["period"], now["periods"]) == (examples[0].labels[0], 1, 2)
        for disturbing in (
            {"type": "unplug", "sensor": "replay video"},
            {"type": "trial", "unplug": "video"},
        ):
            viewer.send(**disturbing)
            assert "stop it first" in viewer.next("refused")["reason"]
        viewer.send(type="trial")
        failed = viewer.next("state", lambda state: "failed" in (state["trial"] or {}))["trial"]["failed"]
        assert "stopped" in failed
        before = {"replay audio": "noise", "replay text": None, "replay video": None}
        viewer.next("state", lambda state: (state["live"], conditions(state)) == (["audio", "video"], before))


def conditions(state: dict[str, Any]) -> dict[str, str | None]:
    return {one["name"]: one["condition"] and one["condition"]["condition"] for one in state["sensors"]}
