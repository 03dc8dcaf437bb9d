"""Takes in the studio: recorded, drawn, deleted, renamed and held out, over the interface for programs."""

import json
from pathlib import Path

import pytest
from sensemble_sensors.media.dataset import read_dataset

from .studying import Steady, studying

pytestmark = pytest.mark.real

SENSORS = "audio", "video"


def test_takes_of_all_sensors_are_recorded_listed_drawn_and_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    with studying(folder, *map(Steady, SENSORS)) as served:
        assert served.act("add_classes", names="clap") == ""
        first = served.take("clap", 2.0)
        served.take(None, background=True)
        served.take(None)
        project = served.state()["project"]
        assert [(take["label"], take["background"], take["split"]) for take in project["takes"]] == [
            (None, False, "pretrain"),
            (None, True, "train"),
            ("clap", False, "train"),
        ]
        assert {tuple(take["modalities"]) for take in project["takes"]} == {SENSORS}
        assert project["classes"] == [{"name": "clap", "takes": 1, "seconds": 2.0, "right": None}]
        status, _, body = served.ask(f"/api/takes/{first}")
        assert status == 200
        assert json.loads(body).keys() == set(SENSORS)
        assert served.ask("/api/takes/999")[0] == 400
    examples = read_dataset(folder / "data").examples
    assert [(example.labels, example.background) for example in examples] == [
        (("clap",), False), (("clap",), False), ((), True), ((), False),
    ]  # fmt: skip
    with studying(folder) as served:
        assert served.state()["project"]["takes"] == project["takes"]
        assert served.ask(f"/api/takes/{first}")[2] == body


def test_takes_are_deleted_and_a_class_is_renamed_with_its_takes(tmp_path: Path) -> None:
    with studying(tmp_path / "project", Steady("video")) as served:
        assert served.act("add_classes", names="clap") == ""
        first, second = (served.take("clap") for _ in range(2))
        assert "delete them first" in served.act("remove_class", name="clap")
        assert served.act("rename_class", name="clap", new="snap") == ""
        assert served.act("delete_take", number=first) == ""
        assert f"take {first}" in served.act("delete_take", number=first)
        (take,) = served.state()["project"]["takes"]
        assert (take["number"], take["label"]) == (second, "snap")
        assert served.act("delete_take", number=second) == ""
        assert served.act("remove_class", name="snap") == ""
        assert served.state()["project"]["classes"] == []


def test_a_class_and_its_takes_stay_together_when_the_disk_fails_as_it_is_renamed(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    index = folder / "data" / "index.jsonl"
    with studying(folder, Steady("video")) as served:
        assert served.act("add_classes", names="clap") == ""
        served.take("clap")
        index.write_text(index.read_text().replace('["clap"]', '["clap", "loud"]'))
        (folder / "data" / "index.jsonl.partial").mkdir()  # no file can be written by this name
        assert "cannot be written" in served.act("rename_class", name="clap", new="snap")
        assert [one["name"] for one in served.state()["project"]["classes"]] == ["clap", "loud"]
        (folder / "data" / "index.jsonl.partial").rmdir()
        (folder / "studio.json.partial").mkdir()
        assert "cannot be written" in served.act("rename_class", name="clap", new="snap")
        (folder / "studio.json.partial").rmdir()
    assert '"labels": ["snap", "loud"]' in index.read_text()
    with studying(folder) as served:
        found = {one["name"]: one["takes"] for one in served.state()["project"]["classes"]}
        assert found == {"clap": 0, "snap": 1, "loud": 1}


def test_a_take_that_leaves_the_index_leaves_the_page_though_its_file_stays(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    with studying(folder, Steady("video")) as served:
        number = served.take(None)
        for file in list((folder / "data" / "segments").iterdir()):
            file.with_suffix(".locked").mkdir(exist_ok=True)  # cannot be deleted as a file
        assert "cannot be deleted" in served.act("delete_take", number=number)
        assert served.state()["project"]["takes"] == []


def test_takes_in_a_row_need_no_hand_and_can_be_stopped(tmp_path: Path) -> None:
    with studying(tmp_path / "project", Steady("video")) as served:
        assert served.act("add_classes", names="clap") == ""
        assert served.act("record", **{"class": "clap", "seconds": 1, "count": 3}) == ""
        served.wait(lambda state: state["take"] is None)
        takes = served.wait(lambda state: len(state["project"]["takes"]) >= 3)["project"]["takes"]
        assert [(take["label"], take["seconds"]) for take in takes] == [("clap", 1.0)] * 3
        assert served.act("record", **{"class": "clap", "seconds": 1, "count": 40}) == ""
        taking = served.wait(lambda state: (state["take"] or {}).get("phase") == "recording")["take"]
        assert (taking["title"], taking["count"]) == ("clap", 40)
        assert served.act("stop_take") == ""
        served.wait(lambda state: state["take"] is None)
        # The one that ran is kept.
        takes = served.wait(lambda state: len(state["project"]["takes"]) >= 3 + taking["number"])
        assert len(takes["project"]["takes"]) < 43
        assert "in a row" in served.act("record", **{"class": "clap", "seconds": 1, "count": 1000})


def test_a_take_is_moved_to_another_class_and_to_none(tmp_path: Path) -> None:
    with studying(tmp_path / "project", Steady("video")) as served:
        for name in ("clap", "snap"):
            assert served.act("add_classes", names=name) == ""
        number = served.take("clap")
        moves: list[tuple[dict[str, object], tuple[str | None, bool, str]]] = [
            ({"class": "snap"}, ("snap", False, "train")),
            ({"class": None, "background": True}, (None, True, "train")),
            ({"class": None}, (None, False, "pretrain")),
            ({"class": "clap"}, ("clap", False, "train")),
        ]
        for given, expected in moves:
            assert served.act("move_take", number=number, **given) == ""
            (take,) = served.state()["project"]["takes"]
            assert (take["label"], take["background"], take["split"]) == expected
        assert "no take 999" in served.act("move_take", number=999, **{"class": "snap"})
        assert "no such class" in served.act("move_take", number=number, **{"class": "wave"})
        assert "none of the classes" in served.act(
            "move_take", number=number, **{"class": "clap", "background": True}
        )


def test_a_countdown_keeps_its_class_and_can_be_stopped_and_then_nothing_is_recorded(tmp_path: Path) -> None:
    with studying(tmp_path / "project", Steady("video"), countdown=60.0) as served:
        assert served.act("add_classes", names="clap") == ""
        assert served.act("record", **{"class": "clap", "seconds": 1}) == ""
        assert "is being recorded" in served.act("rename_class", name="clap", new="snap")
        taking = served.state()["take"]
        assert (taking["phase"], taking["seconds"]) == ("countdown", 1)
        assert "already" in served.act("record", **{"class": None, "seconds": 1})
        assert served.act("stop_take") == ""
        served.wait(lambda state: state["take"] is None)
        assert served.state()["project"]["takes"] == []


def test_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    with studying(tmp_path / "none") as served:
        assert "no sensor" in served.act("record", **{"class": None, "seconds": 1})
    with studying(tmp_path / "project", Steady("video")) as served:
        for given, reason in (
            ({"class": "wave", "seconds": 1}, "no such class"),
            ({"class": None, "seconds": 0.5}, "1 to 60 seconds"),
            ({"class": None, "seconds": 61}, "1 to 60 seconds"),
            ({"class": None}, "seconds: expected a number"),
            ({"class": None, "seconds": True}, "seconds: expected a number"),
            ({"class": 3, "seconds": 1}, "class: expected a string"),
        ):
            assert reason in served.act("record", **given)
