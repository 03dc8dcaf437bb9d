"""The samples of a replay, joined, equal the windows that `window` decodes."""

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sensemble_sensors.codecs.tracks import decode_audio, decode_video
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
)
from sensemble_sensors.media.decoding import samples, span, window
from sensemble_sensors.recording.replay import MediaReplay, Replay
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample

from tests.sensors.reading import read_all
from tests.sensors.studio import Specs, Studio
from tests.waiting import wait_until


def data(stream: list[Sample], modality: str) -> list[Any]:
    return [sample.data for sample in stream if sample.modality == modality]


def sound(stream: list[Sample]) -> NDArray[np.float32]:
    return np.concatenate(data(stream, "audio"))


@given(
    seconds=st.sampled_from([0.5, 1.0, 1.25, 1.37]),
    frames=st.integers(1, 9),
    rate=st.sampled_from([1.0, 8.0, 29.97]),
    origin=st.floats(0, 1e6),
    has=st.sets(st.sampled_from(["audio", "text", "video"]), min_size=1),
)
@settings(max_examples=30)
def test_samples_put_together_are_the_windows(
    *, studio: Studio, specs: Specs, seconds: float, frames: int, rate: float, origin: float, has: set[str]
) -> None:
    path = studio.folder / "samples.mkv"
    if not path.exists():
        studio.write("samples.mkv", studio.frames(8), studio.tone(1, 16000))
    example = studio.example(video=path, audio=path, text="a seven")
    chosen = {
        "audio": replace(specs["audio"], shape=(1, round(16000 * seconds)), window=seconds),
        "text": specs["text"],
        "video": replace(specs["video"], shape=(1, frames, 32, 32, 3), rate=rate, window=frames / rate),
    }
    chosen = {modality: chosen[modality] for modality in has}
    stream = samples(example, chosen, origin)
    over = origin + span(chosen)
    times = [sample.time for sample in stream]
    assert times == sorted(times)
    assert times[0] >= origin
    for modality in has:
        own = [sample for sample in stream if sample.modality == modality]
        assert own[-1].time == over
        assert [sample.cut for sample in own] == [True] + [False] * (len(own) - 1)
    if "audio" in has:
        np.testing.assert_array_equal(sound(stream)[None], window(example, chosen["audio"]))
    if "video" in has:
        np.testing.assert_array_equal(np.stack(data(stream, "video"))[None], window(example, chosen["video"]))
    if "text" in has:
        assert data(stream, "text") == ["a seven"]
        assert stream[times.index(over)].modality == "text", "before the last of the others"


def test_examples_play_one_after_another_through_every_sensor(studio: Studio, specs: Specs) -> None:
    path = studio.write("played.mkv", studio.frames(8), studio.tone(1, 16000))
    short = {
        "text": specs["text"],  # first, because the player waits for the reader of captions
        "audio": replace(specs["audio"], shape=(1, 3200), window=0.2),
        "video": replace(specs["video"], shape=(1, 2, 32, 32, 3), window=0.25),
    }
    examples = [studio.example(video=path, audio=path, text=f"caption {i}", start=i / 4) for i in range(3)]
    before = set(threading.enumerate())
    replay = Replay(examples, short)
    sensors = {modality: replay.sensor(modality) for modality in short}
    for modality, sensor in sensors.items():
        assert sensor.modality == modality
        sensor.open(short[modality])
    with replay:
        streams = {modality: read_all(sensor) for modality, sensor in sensors.items()}
        for sensor in sensors.values():
            sensor.close()
            sensor.close()
    assert set(threading.enumerate()) <= before
    assert data(streams["text"], "text") == ["caption 0", "caption 1", "caption 2"]
    assert studio.numbers(np.stack(data(streams["video"], "video"))) == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(
        sound(streams["audio"]), np.concatenate([window(e, short["audio"])[0] for e in examples])
    )
    assert [sample.cut for sample in streams["video"]] == [True, False] * 3
    for stream in streams.values():
        owners = [replay.example_at(sample.time) for sample in stream]
        assert owners == [replay.example_at(sample.time + 1e-9) for sample in stream]
        assert owners == [examples[i] for i in range(3) for _ in range(len(stream) // 3)]
    assert replay.example_at(streams["text"][0].time - 1) is None
    assert replay.example_at(streams["text"][-1].time + 1) is None


def test_an_unplugged_sensor_misses_what_was_played_and_begins_again_with_a_cut(
    studio: Studio, specs: Specs
) -> None:
    spec = replace(specs["text"], window=0.01)
    examples = [studio.example(text=str(i)) for i in range(3000)]
    with Replay(examples, {"text": spec}) as replay:
        sensor, other = replay.sensor("text"), Replay(examples, {"text": spec}).sensor("text")
        with pytest.raises(SensorLostError, match="replay text: is unplugged"):
            sensor.read(0)
        sensor.open(spec)
        first = sensor.read(30)
        assert first is not None
        sensor.close()
        with pytest.raises(SensorLostError):
            sensor.read(0)
        sensor.open(spec)
        again = sensor.read(30)
        assert again is not None
        assert again.cut
        assert again.time > first.time
        other.open(spec)
        assert other.read(0) is None  # its player was never started


def test_a_stopped_replay_ends_its_sensors_and_leaves_no_thread(studio: Studio, specs: Specs) -> None:
    before = set(threading.enumerate())
    replay = Replay([studio.example(text="late")], {"text": specs["text"], "audio": specs["audio"]})
    sensor = replay.sensor("text")
    sensor.open(specs["text"])
    replay.start()
    replay.close()
    replay.close()
    assert set(threading.enumerate()) <= before
    with pytest.raises(SensorEndedError, match="replay: all is played"):
        sensor.read(30)
    Replay([], specs).close()  # never started


def test_a_file_that_cannot_be_played_is_reported_by_the_sensors_and_on_close(
    studio: Studio, specs: Specs
) -> None:
    example = studio.example(video=studio.folder / "gone.mkv")
    replay = Replay([example], specs)
    sensor = replay.sensor("audio")
    sensor.open(specs["audio"])
    replay.start()
    with pytest.raises(SensorEndedError, match=r"replay: .*gone\.mkv: "):
        sensor.read(30)
    with pytest.raises(BadDataError, match=r"gone\.mkv"):
        replay.close()


def test_what_is_not_played_is_reported(studio: Studio, specs: Specs) -> None:
    replay = Replay([studio.example(text="a")], {"text": specs["text"]})
    with pytest.raises(SensorUnavailableError, match="replay: has no video; it plays text"):
        replay.sensor("video")
    with pytest.raises(SensorUnavailableError, match="replay text: plays text, not audio"):
        replay.sensor("text").open(specs["audio"])


@pytest.mark.parametrize(("name", "audio"), [("film.mkv", "flac"), ("film.mp4", "aac")])
def test_a_media_file_plays_sound_and_picture_aligned(
    studio: Studio, specs: Specs, name: str, audio: str
) -> None:
    frames, wave = studio.frames(6), studio.tone(0.75, 44100)
    video = ("ffv1", "bgr0") if name.endswith("mkv") else ("libx264rgb", "rgb24")
    path = studio.write(name, frames, wave, rate=44100, audio=audio, video=video)
    replay = MediaReplay(path, specs)
    assert replay.modalities == ("audio", "video")
    sensors = {modality: replay.sensor(modality) for modality in replay.modalities}
    for modality, sensor in sensors.items():
        sensor.open(specs[modality])
    with replay:
        streams = {modality: read_all(sensor) for modality, sensor in sensors.items()}
    heard = sound(streams["audio"])
    np.testing.assert_array_equal(heard, decode_audio(path, 16000))
    np.testing.assert_array_equal(data(streams["video"], "video"), decode_video(path, 8, 6, (32, 32)))
    first_frame = streams["video"][0].time
    ends = np.cumsum([len(chunk) for chunk in data(streams["audio"], "audio")]) / 16000
    np.testing.assert_allclose([s.time - first_frame for s in streams["audio"]], ends)
    np.testing.assert_allclose([s.time - first_frame for s in streams["video"]], np.arange(6) / 8)


def test_a_sensor_opened_late_misses_nothing_of_what_was_played_since_it_was_handed_out(
    studio: Studio, specs: Specs
) -> None:
    path = studio.write("clip.mkv", studio.frames(6))
    replay = MediaReplay(path, specs)
    sensor = replay.sensor("video")
    before = set(threading.enumerate())
    with replay:
        wait_until(lambda: set(threading.enumerate()) <= before)  # all was played
        sensor.open(specs["video"])
        frames = data(read_all(sensor), "video")
    np.testing.assert_array_equal(frames, decode_video(path, 8, 6, (32, 32)))


def test_a_media_file_without_a_track_for_the_specs_is_reported(studio: Studio, specs: Specs) -> None:
    path = studio.write("mute.mkv", studio.frames(2))
    assert MediaReplay(path, specs).modalities == ("video",)
    with pytest.raises(BadDataError, match=r"mute\.mkv: .*audio or text"):
        MediaReplay(path, {name: specs[name] for name in ("audio", "text")})


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5), st.sampled_from(["audio", "video"]))
def test_a_sample_queue_keeps_the_newest_and_marks_holes_in_sound(
    puts: list[bool], capacity: int, modality: str
) -> None:
    box = SampleQueue(capacity, continuous=modality == "audio")
    empty = np.zeros(0, np.float32)
    waiting: list[int] = []
    put, last = 0, -1
    for puts_now in puts:
        if puts_now:
            box.put(Sample(modality, empty, put, cut=put % 7 == 3, lost=put % 5))
            waiting = [*waiting, put][-capacity:]
            put += 1
            continue
        sample = box.get(0)
        if not waiting:
            assert sample is None
            continue
        assert sample is not None
        assert sample.time == waiting.pop(0)
        number = int(sample.time)
        hole = modality == "audio" and number > last + 1
        skipped_cut = any(i % 7 == 3 for i in range(last + 1, number + 1))
        assert sample.cut == (last < 0 or hole or skipped_cut)
        assert sample.lost == sum(i % 5 + 1 for i in range(last + 1, number)) + number % 5
        last = number
    box.end(SensorEndedError("over"))
    assert [box.get(0) is not None for _ in waiting] == [True] * len(waiting)
    with pytest.raises(SensorEndedError, match="over"):
        box.get(0)
