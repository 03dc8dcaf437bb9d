"""`modalities.json`: modalities of any name beside an index."""

import json
import re
from pathlib import Path

import pytest
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import check
from sensemble_sensors.media.modalities import read_modalities, write_modalities
from sensemble_sensors.spec import Channel, InputSpec, Modality, devices, together

from tests.sensors.studio import write_index

DEPTH = Modality("depth", "frames", 10.0, (Channel("z", "m", 0.1), Channel("w")))


def write(folder: Path, modalities: object, *lines: dict[str, object], rows: str = "") -> Path:
    (folder / "modalities.json").write_text(json.dumps(modalities))
    (folder / "rows.csv").write_text(rows)
    for name in ("front.mkv", "rear.mkv", "thermal.mkv", "thermal.png"):
        (folder / name).write_bytes(b"media")
    return write_index(folder, *lines, split="train", labels=["one"])


def test_fields_of_free_names_are_modalities(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {"thermal": {"kind": "frames"}, "note": {"kind": "text"}},
        {"video.front": "front.mkv", "video.rear": "rear.mkv", "thermal": "thermal.mkv", "note": "hi"},
        {"image.thermal": "thermal.png", "image.rear": "thermal.png"},
    )
    dataset = read_dataset(folder)
    assert dataset.modalities == ("note", "thermal", "video.front", "video.rear")
    assert dataset.examples[0].kinds == {
        "note": "text",
        "thermal": "frames",
        "video.front": "frames",
        "video.rear": "frames",
    }
    assert dataset.examples[1].modalities == ("thermal", "video.rear")
    assert dataset.examples[0].files == tuple(folder / f"{n}.mkv" for n in ("thermal", "front", "rear"))
    assert dataset.modality("thermal") == Modality("thermal", "frames")
    assert dataset.examples[0].only({"thermal"}).values == {"thermal": folder / "thermal.mkv"}


def test_what_is_written_is_read_back_and_added_to(tmp_path: Path) -> None:
    write_modalities(tmp_path, {})
    assert not list(tmp_path.iterdir())
    write_modalities(tmp_path, {"depth": DEPTH})
    write_modalities(tmp_path, {"note": Modality("note", "text")})
    assert read_modalities(tmp_path) == {"depth": DEPTH, "note": Modality("note", "text")}
    with pytest.raises(BadDataError, match=r"modalities\.json: depth is already .*; "):
        write_modalities(tmp_path, {"depth": Modality("depth", "frames")})


def test_a_device_carries_what_names_it_or_is_named_for(tmp_path: Path) -> None:
    series = {"kind": "series", "rate": 50, "channels": ["x"]}
    named = {"ankle": series | {"device": "band"}, "watch.gyr": series | {"device": ""}, "watch.acc": series}
    write(tmp_path, named)
    read = read_modalities(tmp_path)
    assert {name: one.device for name, one in read.items()} == {
        "ankle": "band",
        "watch.gyr": "",
        "watch.acc": "watch",
    }
    again = tmp_path / "again"
    again.mkdir()
    write_modalities(again, read)
    assert read_modalities(again) == read
    assert [Modality(m, "series").device for m in ("imu.wrist", "video.acc", "left.hand.acc", "acc")] == [
        "",
        "",
        "left.hand",
        "",
    ]
    write(tmp_path, {"ankle": series | {"device": "The Band"}})
    with pytest.raises(BadDataError, match="not a name"):
        read_modalities(tmp_path)


def test_devices_are_what_can_be_lost_as_a_whole() -> None:
    def of(**devices: str) -> dict[str, InputSpec]:
        shape = (1, 9, 1)
        return {
            m: InputSpec(m, "float32", shape, 9, 1.0, 1.0, 1.0, "series", (Channel("x"),), device)
            for m, device in devices.items()
        }

    assert devices(of(a="watch", b="watch", c="phone")) == {"watch": ("a", "b")}
    assert together(of(a="watch", c="phone", b="watch")) == [("a", "b"), ("c",)]
    assert not devices(of(a="watch", b="watch"))
    assert not devices(of(watch="watch", b="watch", c="")), "the name of a modality"


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "not a JSON object"),
        ({"imu": {}}, "imu: its kind is not known"),
        ({"imu": {"kind": "smell"}}, "imu: kind 'smell': there is none of this name"),
        ({"imu": {"kind": 3}}, "imu.kind: expected a string"),
        ({"imu": 3}, "imu: expected an object"),
        ({"start": {"kind": "text"}}, "start: a field of every example"),
        ({"a+b": {"kind": "text"}}, "'a+b': not a name of a modality"),
        ({"imu": {"kind": "text", "rates": 3}}, "imu.rates: unknown field"),
        ({"imu": {"kind": "text", "rate": -1}}, "imu.rate: expected a number"),
        ({"imu": {"kind": "text", "channels": ["x", "x"]}}, "imu.channels: expected names, each once"),
        ({"imu": {"kind": "series", "rate": 1, "channels": ["time"]}}, "imu.channels: expected names"),
        ({"imu": {"kind": "text", "channels": ["x"], "units": []}}, "imu: expected as many units"),
        ({"imu": {"kind": "text", "channels": ["x"], "ranges": [[2, 1]]}}, "imu.ranges: expected pairs"),
        ({"imu": {"kind": "text", "channels": ["x"], "ranges": [[]]}}, "imu.ranges: expected pairs"),
    ],
)
def test_a_bad_file_is_reported_with_its_name_and_field(tmp_path: Path, entries: object, reason: str) -> None:
    write(tmp_path, entries, {"text": "hi"})
    with pytest.raises(BadDataError, match=rf"modalities\.json: .*{re.escape(reason)}"):
        read_dataset(tmp_path)


def test_an_unknown_field_names_what_there_is(tmp_path: Path) -> None:
    write(tmp_path, {"thermal": {"kind": "frames"}}, {"termal": "thermal.mkv"})
    with pytest.raises(BadDataError, match=r"^.*termal: unknown field; .*thermal"):
        read_dataset(tmp_path)


def test_a_check_misses_a_declared_channel(tmp_path: Path) -> None:
    imu = {"kind": "series", "rate": 10, "channels": ["ax", "ay"]}
    dataset = read_dataset(write(tmp_path, {"imu": imu}, {"imu": "rows.csv"}, rows="ax,az\n1,2\n"))
    with pytest.raises(BadDataError, match=r"rows\.csv: has no column ay"):
        check(dataset.examples[0], dataset.declared)


def test_examples_can_be_gathered_in_sets(tmp_path: Path) -> None:
    folder = write(tmp_path, {}, {"text": "hi"}, {"text": "ho"})
    assert len({*read_dataset(folder).examples, *read_dataset(folder).examples}) == 2
