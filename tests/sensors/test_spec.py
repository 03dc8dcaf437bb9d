"""Names and kinds of modalities, and the specs that hold them."""

import pytest
from sensemble_sensors.errors import SpecError
from sensemble_sensors.kinds.registry import condition_of, kind_of
from sensemble_sensors.spec import Channel, InputSpec, Modality, declared, kind_name
from sensemble_sensors.strict_json import decode, encode

SERIES = InputSpec(
    "imu.wrist", "float32", (1, 20, 2), 10, 2, 1, 4, "series", (Channel("ax", "g", -2, 2), Channel("ay"))
)


def spec(modality: str, kind: str = "") -> InputSpec:
    return InputSpec(modality, "float32", (1, 8000), 8000, 1, 1, 1, kind)


@pytest.mark.parametrize("name", ["audio", "video.rear", "imu.wrist-2", "a" * 64, "7_8.x"])
def test_a_name_is_free(name: str) -> None:
    assert spec(name, "waveform").kind == "waveform"


@pytest.mark.parametrize(
    "name", ["", "a+b", "a/b", "../x", "Audio", "a..b", ".a", "a b", "#", "naïve", "a\n", "a" * 65, "-x"]
)
def test_a_name_that_would_break_files_topics_or_sets_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="not a name of a modality"):
        spec(name, "waveform")


def test_a_kind_follows_from_the_first_part_of_a_known_name_alone() -> None:
    assert [kind_name(m) for m in ("audio", "audio.left", "video.rear", "text")] == [
        "waveform",
        "waveform",
        "frames",
        "text",
    ]
    assert kind_name("video.depth", "series") == "series"
    with pytest.raises(SpecError, match=r"^imu\.wrist: its kind is not known"):
        spec("imu.wrist")
    with pytest.raises(SpecError, match="kind 'smell': there is none"):
        kind_of("smell")
    assert condition_of("audio.left", "quiet") == condition_of("x", "quiet", "waveform")


def test_a_spec_travels_as_json_and_its_infinite_bounds_are_left_out() -> None:
    written = encode(SERIES)
    assert [*written["channels"]] == [
        {"name": "ax", "unit": "g", "low": -2, "high": 2},
        {"name": "ay", "unit": ""},
    ]
    assert decode(InputSpec, written | {"shape": [1, 20, 2], "channels": [*written["channels"]]}) == SERIES


def test_only_what_a_name_does_not_say_is_declared() -> None:
    assert declared([SERIES, spec("audio"), spec("thermal", "frames")]) == {
        "imu.wrist": Modality("imu.wrist", "series", 10, SERIES.channels),
        "thermal": Modality("thermal", "frames"),
    }
