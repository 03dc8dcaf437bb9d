"""A recording keeps to one form, says so before anything is played, and names the line that is bad."""

from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from sensemble_sensors.errors import BadDataError, RecordingError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.recording.reader import Recorded, Segment
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

Specs = Mapping[str, InputSpec]


def record(folder: Path, *modalities: str, rate: int = 16000, size: tuple[int, int] = (32, 32)) -> None:
    """Record one sample of each modality as a take of its own."""
    data = {"audio": np.zeros(800, np.float32), "video": np.zeros((*size, 3), np.uint8), "text": "a \u2028 b"}
    with Recording(folder, {"audio": (rate,), "video": size}, seconds=60.0) as out:
        for modality in modalities:
            out.put(Sample(modality, data[modality], monotonic(), cut=True))  # type: ignore[arg-type]


def form(segment: Segment) -> dict[str, tuple[int, ...]]:
    return {m: n for m, n in segment.header.form.items() if m in segment.example.modalities}


def read(folder: Path, specs: Specs) -> Recorded:
    return Recorded(folder, read_dataset(folder).examples, specs)


def test_a_take_of_another_form_is_refused(tmp_path: Path, specs: Specs) -> None:
    record(tmp_path, "audio", "video")
    record(tmp_path, "text")  # a take without pictures says nothing of their size
    with pytest.raises(RecordingError, match="holds video at 32 x 32, and this take would be at 24 x 32"):
        record(tmp_path, "video", size=(24, 32))
    with pytest.raises(RecordingError, match="holds audio at 16000 Hz, and this take would be at 8000 Hz"):
        record(tmp_path, "audio", rate=8000)
    record(tmp_path, "audio", "video")
    assert len(read(tmp_path, specs).segments) == 3


def test_what_a_recording_does_not_hold_may_come_in_any_form(tmp_path: Path) -> None:
    record(tmp_path, "audio")
    record(tmp_path, "video", size=(24, 32))
    assert [form(segment) for segment in read(tmp_path, {}).segments] == [
        {"audio": (16000,)},
        {"video": (24, 32)},
    ]


def test_each_segment_is_converted_from_its_own_form(tmp_path: Path, specs: Specs) -> None:
    record(tmp_path, "video")
    with Recording(tmp_path, {"audio": (16000,)}) as out:  # who does not say what size the pictures will have
        out.put(Sample("video", np.zeros((24, 32, 3), np.uint8), monotonic()))
    recorded = read(tmp_path, specs)
    assert [segment.header.form["video"] for segment in recorded.segments] == [(32, 32), (24, 32)]
    assert [np.shape(sample.data) for sample in recorded.samples(specs)] == [(32, 32, 3)] * 2


def test_a_bad_line_is_named(tmp_path: Path, specs: Specs) -> None:
    record(tmp_path, "text")
    record(tmp_path, "text")
    segment = tmp_path / "segments" / "000001.jsonl"
    for name, path in (("events", tmp_path / "events.jsonl"), ("index", tmp_path / "index.jsonl")):
        good = path.read_text()
        path.write_text(good.replace('"', "", 1))
        with pytest.raises(
            RecordingError, match=f"{name}.jsonl:1: is not a line of a recording .*; repair it"
        ):
            record(tmp_path, "text")
        if name == "events":
            with pytest.raises(BadDataError, match=r"events.jsonl:1: cannot be read .not JSON"):
                _ = read(tmp_path, specs).events
        path.write_text(good)
    segment.write_text(segment.read_text().replace('"time"', '"tune"'))
    with pytest.raises(BadDataError, match=r"000001.jsonl:2: cannot be read \(time: expected a number"):
        list(read(tmp_path, specs).samples(specs))
