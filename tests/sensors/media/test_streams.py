"""Streams: long recordings with labelled spans, read strictly, and played as devices would give them."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from sensemble_sensors import BadDataError, Channel, InputSpec, Modality, Sample, Span, read_streams
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import window
from sensemble_sensors.media.leaks import leaks
from sensemble_sensors.media.modalities import write_modalities
from sensemble_sensors.media.streams import backgrounds, check, seconds

from tests.sensors.studio import write_index

AUDIO = InputSpec("audio", "float32", (1, 16000), 16000, 1.0, 0.5, 1.0)
TEXT = InputSpec("text", "int64", (1, 8), 0, 0, 0, 5.0)
IMU = InputSpec("imu", "float32", (1, 20, 1), 10, 2.0, 1.0, 2.0, "series", (Channel("ax"),))
SERIES = {"imu": Modality("imu", "series", 10, (Channel("ax"),))}
GOOD: dict[str, object] = {"id": "a", "split": "eval", "audio": "a.wav"}


def write_streams(folder: Path, *lines: object) -> Path:
    """Write `streams.jsonl`, and the files that the lines of these tests name."""
    folder.mkdir(exist_ok=True)
    with av.open(str(folder / "a.wav"), "w") as container:
        track = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        ramp = (np.arange(48000) // 16000 * 1000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(ramp[None], format="s16", layout="mono")
        frame.sample_rate = 16000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    (folder / "a.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\na four\n")
    rows = "".join(f"{i / 10},{i}\n" for i in range(30))
    (folder / "imu.csv").write_text(f"time,ax\n{rows}")
    (folder / "a.csv").write_text("from,until,label\n2,2.5,two\n0.5,1,four\n")
    (folder / "in.png").write_bytes(b"media")
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    (folder / "streams.jsonl").write_text(text)
    return folder


def test_a_stream_has_spans_and_plays_all_its_files(tmp_path: Path) -> None:
    full = GOOD | {"text": "a.srt", "imu": "imu.csv", "spans": "a.csv", "group": ["Anna", "room"]}
    write_modalities(write_streams(tmp_path, full, "", GOOD | {"id": "b"}), SERIES)
    stream, silent = read_streams(tmp_path)
    assert (stream.id, stream.split, stream.line) == ("a", "eval", 1)
    assert stream.groups == ("Anna", "room")
    assert [(span.begin, span.end, span.label) for span in stream.spans] == [
        (0.5, 1, "four"),
        (2, 2.5, "two"),
    ]
    assert (silent.spans, silent.modalities) == ((), ("audio",))
    assert seconds(stream, SERIES) == pytest.approx(3.0)
    played = list(stream.samples({"audio": AUDIO, "text": TEXT, "imu": IMU}, origin=100.0))
    assert [one.time for one in played] == sorted(one.time for one in played)
    sound, captions, moved = ([one for one in played if one.modality == m] for m in ("audio", "text", "imu"))
    assert (captions[0].data, captions[0].time) == ("a four", 100.5)
    assert sum(len(one.data) for one in sound) == 48000
    assert sound[-1].time == pytest.approx(103.0)
    rows = np.concatenate([np.asarray(one.data)[:, 0] for one in moved])
    assert rows == pytest.approx(np.arange(len(rows)))
    assert len(rows) >= 29, "a resampler may hold back the last row"
    assert [one.cut for one in moved] == [True] + [False] * (len(moved) - 1)
    assert moved[0] == Sample("imu", moved[0].data, 100.0, cut=True)


def test_spans_may_stand_in_the_line(tmp_path: Path) -> None:
    write_streams(tmp_path, GOOD | {"spans": [[2, 2.5, "two"], [0.5, 1, "four"]]})
    (stream,) = read_streams(tmp_path)
    assert stream.spans[0] == Span(0.5, 1.0, "four", "spans[1]")
    check(stream, {})


def test_windows_that_no_span_touches_are_backgrounds(tmp_path: Path) -> None:
    captions = "1\n00:00:00,500 --> 00:00:01,000\na four\n\n2\n00:00:01,500 --> 00:00:02,000\nrain\n"
    write_streams(tmp_path, GOOD | {"split": "train", "text": "a.srt", "spans": [[0.4, 0.8, "four"]]})
    (tmp_path / "a.srt").write_text(captions)
    streams, specs = read_streams(tmp_path), {"audio": AUDIO, "text": TEXT}
    heard, told = [[e for e in backgrounds(streams, specs, "train") if m in e.modalities] for m in specs]
    assert [(e.start, e.end) for e in heard] == [(1.0, 2.0), (1.5, 2.5), (2.0, 3.0)]
    assert [e.value("text") for e in told] == ["rain"]
    assert all(e.background and not e.labels for e in (*heard, *told))
    assert np.asarray(window(heard[0], AUDIO))[0] == pytest.approx(1000 / 32768)
    assert len(backgrounds(streams, specs, "train", most=2)) == 2
    assert backgrounds(streams, specs, "eval") == []


def test_a_folder_without_streams_has_none(tmp_path: Path) -> None:
    assert read_streams(tmp_path) == ()


BAD = [
    ("{", "not JSON"),
    (GOOD | {"id": None}, "id: is missing"),
    (GOOD | {"id": "first"}, "id: 'first' is already"),
    (GOOD | {"split": "pretrain"}, "split: expected one of train, calibrate, eval"),
    (GOOD | {"audio": None}, "names none of"),
    (GOOD | {"audio": "../a.wav"}, "audio: .* must be a path relative"),
    (GOOD | {"audio": "gone.wav"}, "audio: there is no file"),
    (GOOD | {"text": "a four"}, "text: there is no file"),
    (GOOD | {"image": "in.png"}, "image: a still picture is no stream"),
    (GOOD | {"labels": ["four"]}, "labels: unknown field"),
    (GOOD | {"group": "Anna"}, "group: 'Anna' is in eval here and in train"),
    (GOOD | {"group": "Bert"}, "group: 'Bert' is in eval here and in calibrate at line 1"),
    (GOOD | {"spans": "gone.csv"}, "spans: there is no file"),
    (GOOD | {"spans": "bad.csv"}, r".*bad\.csv:2: 'noon' is not a time; give seconds"),
    (GOOD | {"spans": "date.csv"}, r".*date\.csv:2: '2026-11-30' is not a time"),
    (GOOD | {"spans": "long.csv"}, r".*long\.csv:2: 'inf' is not a time"),
    (GOOD | {"spans": "blank.csv"}, r".*blank\.csv:2: ' ' is not a label"),
    (GOOD | {"spans": [[1, 2]]}, r"spans\[0\]: expected \[from, until, label\]"),
    (GOOD | {"spans": [[-1, 2, "two"]]}, r"spans\[0\]: expected"),
    (GOOD | {"spans": [[2, 1, "two"]]}, r"spans\[0\]: ends before it begins"),
]


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_a_bad_line_is_reported_with_file_line_and_reason(tmp_path: Path, line: object, reason: str) -> None:
    write_streams(tmp_path, GOOD | {"id": "first", "split": "calibrate", "group": "Bert"}, line)
    write_index(tmp_path, {"id": "x", "split": "train", "labels": ["two"], "text": "two", "group": "Anna"})
    for name, row in (
        ("bad", "noon,1,two"),
        ("date", "2026-11-30,1,two"),
        ("long", "1,inf,two"),
        ("blank", "1,2, "),
    ):
        (tmp_path / f"{name}.csv").write_text(f"from,until,label\n{row}\n")
    with pytest.raises(BadDataError, match=rf"streams\.jsonl:2: {reason}") as error:
        read_streams(tmp_path)
    assert "\n" not in str(error.value)


def test_streams_follow_their_people_into_a_calibrate_that_is_drawn(tmp_path: Path) -> None:
    people = [f"p{i}" for i in range(24)]
    write_streams(tmp_path, *(GOOD | {"id": who, "split": "train", "group": who} for who in people))
    write_index(
        tmp_path,
        *(
            {"id": f"{who}-{i}", "split": "train", "labels": ["two"], "text": "two", "group": who}
            for who in people
            for i in range(2)
        ),
    )
    dataset, streams = read_dataset(tmp_path), read_streams(tmp_path)
    assert dataset.drawn
    for split in ("train", "calibrate"):
        drawn = {example.group for example in dataset.split(split)}
        assert {group for one in streams if one.split == split for group in one.groups} == drawn


def test_a_stream_of_one_split_that_is_an_example_of_another_leaks(tmp_path: Path) -> None:
    write_streams(tmp_path, GOOD | {"split": "train"}, GOOD | {"id": "b", "split": "train"})
    write_index(tmp_path, {"id": "x", "split": "eval", "labels": ["two"], "audio": "a.wav", "end": 1})
    (leak,) = leaks(read_dataset(tmp_path), read_streams(tmp_path))
    assert leak.same
    assert "a.wav of 'a' (train, line 1 of streams.jsonl)" in leak.text


def test_a_span_after_the_end_is_found_by_a_check(tmp_path: Path) -> None:
    write_streams(tmp_path, GOOD | {"spans": [[1, 40, "two"]]})
    (stream,) = read_streams(tmp_path)
    with pytest.raises(BadDataError, match="two ends at 40 s, after the stream"):
        check(stream, {})
