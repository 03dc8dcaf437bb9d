"""The instant head in the studio: live after two takes of two classes, and it follows the takes."""

from pathlib import Path
from typing import Any

import pytest
from sensemble_runtime import Bundle

from tests.apps.conftest import tiny

from .studying import Steady, studying

pytestmark = pytest.mark.real

LOWERED = 500.0  # seconds; a busy machine is no failure


@pytest.mark.timeout(3 * LOWERED)
@pytest.mark.usefixtures("lowered_once")
def test_it_is_live_after_two_takes_of_two_classes_and_follows_the_takes(tmp_path: Path) -> None:
    camera, microphone = Steady("video"), Steady("audio")
    bundle = tmp_path / "project/instant/bundle"
    with studying(tmp_path / "project", camera, microphone, options=tiny("audio", "video")) as served:

        def fitted() -> dict[str, Any]:
            return served.wait(lambda state: not state["project"]["instant"]["fitting"], LOWERED)["project"]

        for label in ("zero", "one"):
            camera.label = microphone.label = label
            served.act("add_classes", names=label)
            assert served.act("record", **{"class": label, "seconds": 1, "count": 2}) == ""
            served.wait(lambda state: state["take"] is None)
        project = fitted()
        assert project["live"] == 0, "it is live by itself"
        assert {one["subset"] for one in project["instant"]["sets"]} == {"audio", "video", "audio+video"}
        assert [one["right"] for one in project["classes"]] == [[2, 2], [2, 2]]
        session = served.studio.live.session
        assert session is not None
        answer = served.wait(lambda state: state["answer"] and len(state["answer"]["live"]) == 2)["answer"]
        assert answer["best"] == "one"
        assert answer["probabilities"].keys() == {"zero", "one"}

        camera.label = microphone.label = "two"
        served.act("add_classes", names="two")
        for _ in range(2):
            served.take("two")
        assert fitted()["instant"]["reason"] == ""
        assert Bundle.open(bundle).manifest.labels == ("one", "two", "zero")
        assert served.studio.live.session is session, "its encoders go on, and its head is another"
        served.wait(lambda state: state["answer"] and state["answer"]["best"] == "two")

        for take in served.state()["project"]["takes"]:
            if take["label"] != "zero":
                served.act("delete_take", number=take["number"])
        project = fitted()
        assert "record two of each" in project["instant"]["reason"]
        assert (project["instant"]["done"], project["live"], bundle.exists()) == (False, None, False)


def test_from_scratch_there_is_none(tmp_path: Path) -> None:
    with studying(tmp_path / "project") as served:
        assert served.state()["project"]["instant"] is None
