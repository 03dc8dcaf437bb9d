"""A recording gives back the very samples that went into it, whatever ended it."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import numpy as np
import pytest
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.codecs.tracks import decode_audio, decode_video, probe
from sensemble_sensors.errors import BadDataError, RecordingError, SensorEndedError, SensorLostError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import clip, window
from sensemble_sensors.recording.reader import Recorded, RecordingReplay, is_recording
from sensemble_sensors.recording.replay import Loss
from sensemble_sensors.recording.writer import Recording, _place
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from tests.sensors.recording.written import assert_equal, written
from tests.sensors.studio import Specs
from tests.waiting import PATIENCE, wait_until

RATE = 16000
NOW = 1000.0  # any time
ENDLESS = Path(__file__).parents[1].joinpath("record_endlessly.py")


def take(begin: float, seconds: float, seed: int = 0) -> list[Sample]:
    """Samples of a jittery microphone, a camera and captions soon after `begin`; the sound has one hole."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(round(20 * seconds)):
        hole = 0.07 * (i >= 10 * seconds)
        wave = rng.uniform(-1, 1, 800).astype(np.float32)
        jitter = rng.uniform(0, 0.01)
        samples.append(Sample("audio", wave, begin + i / 20 + hole + jitter, cut=i in (0, 10 * seconds)))
    for i in range(round(15 * seconds)):
        image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        samples.append(Sample("video", image, begin + i / 15 + rng.uniform(0, 0.03), cut=i == 0))
    samples += [
        Sample("text", f"caption {i}, häß", begin + i + 0.5, cut=i == 0) for i in range(round(seconds))
    ]
    return sorted(samples, key=lambda sample: sample.time)


def record(folder: Path, samples: list[Sample], **given: Any) -> None:  # noqa: ANN401 - as `written`
    """Record samples between the coming and the loss of a camera."""
    events = [("camera 0", "video", kind, text) for kind, text in (("attached", ""), ("lost", "unplugged"))]
    written(folder, samples, {"audio": (RATE,)}, *events, began=samples[0].time - 4.7, **given)


def test_what_is_recorded_is_read_back_bit_for_bit(tmp_path: Path, specs: Specs) -> None:
    folder = tmp_path / "out"
    given = take(NOW, 3.0)
    record(folder, given)
    dataset = read_dataset(folder)
    recorded = Recorded(folder, dataset.examples)
    found = list(recorded.samples(specs))
    assert is_recording(folder)
    assert_equal(found, given, given[0].time - found[0].time)
    assert 0 <= found[0].time < 1
    assert [(p.sensor, p.kind) for p in recorded.events] == [
        ("", "began"),
        ("camera 0", "attached"),
        ("camera 0", "lost"),
    ]
    assert len(dataset.examples) in (4, 5), "three seconds and a little, from anywhere in a second"
    assert {e.split for e in dataset.examples} == {"pretrain"}
    for sample in found:
        example = recorded.example_at(sample.time)
        assert example is not None
        if sample.modality == "text":
            assert example.value("text") == sample.data
    assert recorded.example_at(recorded.length + 1) is None


def test_an_example_is_a_sound_and_a_picture_that_anyone_can_decode(tmp_path: Path) -> None:
    given = take(NOW, 2.0)
    record(tmp_path, given, split="eval", labels=("clap",), seconds=10.0)
    (example,) = read_dataset(tmp_path).examples
    assert (example.split, example.labels, example.value("text")) == ("eval", ("clap",), "caption 1, häß")
    assert example.value("audio") is not None
    assert example.value("video") == example.value("audio")
    sound = np.concatenate([s.data for s in given if s.modality == "audio"])  # type: ignore[misc]
    heard = decode_audio(example.value("audio"), RATE)
    first = next(i for i in range(RATE) if np.array_equal(heard[i : i + 16000], sound[:16000]))
    assert first < 0.1 * RATE, "they begin together, but for when the first frame came"
    np.testing.assert_array_equal(heard[-16000:], sound[-16000:])
    assert 0.05 < (len(heard) - first - len(sound)) / RATE < 0.09, "the hole in the sound is silence"
    first_frame = next(s.data for s in given if s.modality == "video")
    np.testing.assert_array_equal(decode_video(example.value("video"), 15, 1, (32, 32))[0], first_frame)


def test_an_array_that_is_filled_again_is_recorded_as_it_was(tmp_path: Path) -> None:
    buffer = np.zeros((32, 32, 3), np.uint8)
    with Recording(tmp_path / "out", {}, seconds=60.0, clock=VirtualClock()) as out:
        for i in range(4):
            buffer[:] = 10 * i
            out.put(Sample("video", buffer, out.began + i / 10))
    (path,) = (tmp_path / "out" / "segments").glob("*.mkv")
    pictures = decode_video(path, 10, 4, (32, 32))
    assert pictures.mean(axis=(1, 2, 3)).tolist() == [0, 10, 20, 30]


def test_a_recording_goes_on_as_another_take(tmp_path: Path, specs: Specs) -> None:
    first = take(NOW, 1.0, seed=1)
    record(tmp_path, first, split="train", labels=("one",))
    second = take(NOW, 1.0, seed=2)
    record(tmp_path, second, split="train", labels=("two",))
    dataset = read_dataset(tmp_path)
    assert [e.id for e in dataset.examples] == [f"{i:06d}" for i in range(len(dataset.examples))]
    assert {(e.labels, e.group) for e in dataset.split("train")} == {
        (("one",), "take 1"),
        (("two",), "take 2"),
    }
    recorded = Recorded(tmp_path, dataset.examples)
    found = list(recorded.samples(specs))
    assert len(found) == len(first) + len(second)
    assert_equal(found[: len(first)], first, first[0].time - found[0].time)
    assert_equal(found[len(first) :], second, second[0].time - found[len(first)].time)
    twos = Recorded(tmp_path, [s.example for s in recorded.segments if s.header.take == 2])
    assert twos.segments[0].example.labels == ("two",)
    assert len(list(twos.samples(specs))) == len(second)
    assert {plug.take for plug in twos.events} == {2}


def test_where_examples_are_left_out_everything_restarts(tmp_path: Path, specs: Specs) -> None:
    given = take(NOW, 3.0)
    record(tmp_path, given, seconds=0.5)
    examples = read_dataset(tmp_path).examples
    kept = [*examples[:2], *examples[4:]]
    recorded = Recorded(tmp_path, kept, specs)
    found = list(recorded.samples(specs))
    assert len(found) < len(given)
    end = Recorded(tmp_path, kept[:2], specs).length
    beside = [recorded.example_at(end + seconds) for seconds in (-0.01, 0.01, 4.99, 5.01)]
    assert beside == [kept[1], None, None, kept[2]], "a gap of the time to live of a caption"
    after = [s for s in found if s.time > end]
    assert {m: next(s.cut for s in after if s.modality == m) for m in ("audio", "video")} == {
        "audio": True,
        "video": True,
    }
    assert sum(s.cut for s in after if s.modality == "video") == 1


def test_a_sensor_that_was_lost_is_lost_in_the_replay_too(tmp_path: Path, specs: Specs) -> None:
    clock = VirtualClock()
    with Recording(tmp_path, {"audio": (RATE,)}, clock=clock) as out:
        out.put(Sample("text", "one", clock.now(), cut=True))
        out.event("captions", "text", "lost", "pulled out")
        clock.advance(0.4)
        out.event("captions", "text", "attached", "")
        out.put(Sample("text", "two", clock.now(), cut=True))
        out.event("captions", "text", "ended", "over")
    back = Event()

    class Waiting(RecordingReplay):
        def _stream(self, origin: float) -> Iterator[Sample | Loss]:
            for item in super()._stream(origin):
                assert not (isinstance(item, Sample) and item.data == "two") or back.wait(PATIENCE)
                yield item

    replay = Waiting(Recorded(tmp_path, read_dataset(tmp_path).examples, specs), specs)
    sensor = replay.sensor("text")
    sensor.open(specs["text"])
    with replay:
        first = sensor.read(20)
        with pytest.raises(SensorLostError, match="recording text: pulled out"):
            sensor.read(20)
        sensor.close()
        sensor.open(specs["text"])
        back.set()
        second = sensor.read(20)
        with pytest.raises(SensorEndedError, match="all is played"):
            sensor.read(20)
    assert [s.data for s in (first, second) if s is not None] == ["one", "two"]


def test_what_came_before_the_first_sample_is_reported_at_the_beginning(tmp_path: Path) -> None:
    clock = VirtualClock()
    with Recording(tmp_path, {"audio": (RATE,)}, seconds=0.1, clock=clock) as out:
        out.event("captions", "text", "attached", "")
        clock.advance(0.3)
        out.put(Sample("text", "one", clock.now()))
    recorded = Recorded(tmp_path, read_dataset(tmp_path).examples)
    assert recorded.segments[0].header.start > 0.1
    assert [plug.time for plug in recorded.events if plug.kind == "attached"] == [0.0]


def test_a_take_has_no_segment_after_its_length(tmp_path: Path) -> None:
    """On a busy machine, a sample that came late began one: a take of a second had two."""
    clock, picture = VirtualClock(), np.zeros((8, 8, 3), np.uint8)
    with Recording(tmp_path, {"video": (8, 8)}, length=1.0, clock=clock) as out:
        out.put(Sample("video", picture, out.began + 0.1))
        clock.advance(2.0)
        wait_until(lambda: out.segments == 1)
        for after in (0.9, 1.2):
            out.put(Sample("video", picture, out.began + after))
    assert out.segments == 1
    assert "they came after the last segment: 1 samples are lost" in (tmp_path / "events.jsonl").read_text()


def test_what_nobody_read_in_time_is_reported(tmp_path: Path) -> None:
    with Recording(tmp_path / "out", {"audio": (16000,)}, clock=VirtualClock()) as recording:
        recording.put(Sample("text", "one", recording.began, lost=2))
        recording.put(Sample("text", "two", recording.began, lost=3))
    recorded = Recorded(tmp_path / "out", read_dataset(tmp_path / "out").examples)
    reported = [p.text.split(": ") for p in recorded.events if p.kind == "dropped"]
    assert {why for why, _ in reported} == {"they came faster than they were read"}
    assert sum(int(count.removesuffix(" samples are lost")) for _, count in reported) == 5


def test_sound_of_no_length_is_left_out_and_a_clock_that_steps_back_stops_nothing(
    tmp_path: Path, specs: Specs
) -> None:
    begin, wave = NOW, np.full(1600, 0.5, np.float32)
    empty = np.zeros(0, np.float32)
    given = [
        (wave, 0.1, True),
        (empty, 0.1, False),
        (wave, 0.2, False),
        (empty, 0.2, True),
        (wave, 0.21, False),
        (wave, 0.31, False),
    ]
    record(tmp_path, [Sample("audio", data, begin + at, cut) for data, at, cut in given])
    found = list(Recorded(tmp_path, read_dataset(tmp_path).examples).samples(specs))
    assert [len(s.data) for s in found] == [1600] * 4
    assert all(np.all(s.data == np.float32(0.5)) for s in found)
    cuts = [s.cut for s in found]
    assert cuts == [True, False, True, False], "the cut of an empty sample is that of the next one alone"


def test_a_sample_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "a", {"audio": (RATE,)}, clock=VirtualClock())
    recording.put(Sample("audio", np.zeros((2, 800), np.float32), recording.began))
    with pytest.raises(RecordingError, match=r"ValueError: .* 0 segments"):
        recording.close()


def test_a_recording_of_another_form_is_replayed_as_the_audit_converts(tmp_path: Path) -> None:
    begin, rng = NOW, np.random.default_rng(0)
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)).astype(np.float32)
    given = [Sample("audio", tone[i * 800 : (i + 1) * 800], begin + (i + 1) / 20, i == 0) for i in range(60)]
    picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    given += [Sample("video", picture, begin + i / 10, i == 0) for i in range(30)]
    record(tmp_path, sorted(given, key=lambda s: s.time), seconds=10.0)
    (example,) = read_dataset(tmp_path).examples
    wanted = {
        "audio": InputSpec("audio", "float32", (1, 8000), 8000, 1.0, 0.5, 2.0),
        "video": InputSpec("video", "uint8", (1, 8, 16, 16, 3), 8, 1.0, 0.5, 2.0),
    }
    found = list(Recorded(tmp_path, [example]).samples(wanted))
    assert example.value("audio") is not None
    heard = [s for s in found if s.modality == "audio"]
    sound = np.concatenate([np.asarray(s.data) for s in heard])
    np.testing.assert_allclose(sound, decode_audio(example.value("audio"), 8000), atol=1e-4)
    assert [s.cut for s in heard] == [True] + [False] * (len(heard) - 1)
    ends = np.cumsum([len(s.data) for s in heard]) / 8000
    np.testing.assert_allclose([s.time - heard[0].time + ends[0] for s in heard], ends, atol=1e-6)
    seen = [s for s in found if s.modality == "video"]
    (fitted,) = decode_video(example.value("audio"), 10, 1, (16, 16))
    assert len(seen) == 30
    for sample in seen:
        np.testing.assert_array_equal(sample.data, fitted)
    first = seen[0].time - (heard[0].time - ends[0])
    assert first == pytest.approx(0.0, abs=1e-6), "sound and picture stay together"


def test_every_window_of_an_own_take_decodes_and_is_of_its_seconds(tmp_path: Path, specs: Specs) -> None:
    given = [s for s in take(NOW, 2.6) if s.modality != "text"]
    record(tmp_path, given)
    draw = np.random.default_rng(0)
    # A boundary of segments may fall between the first sound and the first picture.
    filmed = [example for example in read_dataset(tmp_path).examples if example.value("video") is not None]
    assert len(filmed) >= 2
    for example in filmed:
        assert example.value("video") is not None
        assert example.end is not None
        assert example.end <= probe(example.value("video")).seconds + 1e-3
        for _ in range(10):
            assert clip(example, specs, draw=draw).keys() == {"audio", "video"}


def test_a_sample_of_another_age_moves_no_segment(tmp_path: Path) -> None:
    wave = np.full(RATE, 0.5, np.float32)
    with Recording(tmp_path, {"audio": (RATE,)}, seconds=1.0, clock=VirtualClock()) as out:
        begin = out.began + 5.0
        picture = np.zeros((8, 8, 3), np.uint8)
        for time in (begin - 100_000, begin - 3600, float("nan"), float("inf"), -float("inf")):
            out.put(Sample("video", picture, time))
        out.put(Sample("video", picture, begin + 0.2))
        out.put(Sample("video", picture, begin - 4.0))  # late, but not absurd
        for _ in range(10):
            out.put(Sample("text", "one", out.began + 3600))
        out.put(Sample("audio", wave, begin + 1.0 - 1e-4, cut=True))
    reported = (tmp_path / "events.jsonl").read_text()
    assert "its clock is behind: 2 samples are lost" in reported
    assert "its time is not a number: 3 samples are lost" in reported
    assert "its clock is ahead: 10 samples are lost" in reported
    assert "the disk" not in reported
    heard = next(e for e in read_dataset(tmp_path).examples if e.value("audio") is not None)
    spec = InputSpec("audio", "float32", (1, RATE), RATE, 1.0, 0.5, 2.0)
    assert np.mean(window(heard, spec) == np.float32(0.5)) > 0.99


@pytest.mark.parametrize("time", ["Infinity", "-Infinity", "NaN", "1e300", "1e9", "-1e9"])
def test_a_recorded_time_that_cannot_be_is_refused(tmp_path: Path, specs: Specs, time: str) -> None:
    record(tmp_path, [Sample("text", "one", NOW)])
    path = tmp_path / "segments" / "000000.jsonl"
    header, line = path.read_text().splitlines()
    path.write_text(f"{header}\n{line.replace(str(json.loads(line)['time']), time)}\n")
    with pytest.raises(BadDataError, match=r"000000\.jsonl:2: .*time: "):
        list(Recorded(tmp_path, read_dataset(tmp_path).examples).samples(specs))


def test_an_id_leads_to_no_file_outside(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    record(folder, [Sample("text", "one", NOW)])
    for place in (tmp_path / "x.jsonl", folder / "x.jsonl"):
        place.write_bytes((folder / "segments" / "000000.jsonl").read_bytes())
    index = (folder / "index.jsonl").read_text()
    for name in ("../../x", "../x", "/x", "x", "1"):
        (folder / "index.jsonl").write_text(index.replace("000000", name, 1))
        with pytest.raises(BadDataError, match="is not the id of a segment"):
            Recorded(folder, read_dataset(folder).examples)
    (folder / "index.jsonl").write_text(index)
    (folder / "segments" / "000000.jsonl").unlink()
    (folder / "segments" / "000000.jsonl").symlink_to(tmp_path / "x.jsonl")
    with pytest.raises(BadDataError, match="is a link that leaves"):
        Recorded(folder, read_dataset(folder).examples)


def test_two_at_a_time_cannot_use_one_folder(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from sensemble_sensors.errors import RecordingError\n"
        "from sensemble_sensors.recording.writer import Recording\n"
        "try: Recording(Path(sys.argv[1]), {'audio': (16000,)}).close()\n"
        "except RecordingError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    with Recording(tmp_path / "out", {"audio": (RATE,)}, clock=VirtualClock()) as out:
        (tmp_path / "out" / "segments" / "000000.mkv.partial").touch()
        with pytest.raises(RecordingError, match="in use by another recording"):
            Recording(tmp_path / "out", {"audio": (RATE,)})
        refused = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert refused == f"{tmp_path / 'out'}: is in use by another recording; name another folder\n"
        assert list((tmp_path / "out" / "segments").glob("*.partial")), "what the first one writes is its own"
        out.put(Sample("text", "one", out.began))
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    assert [e.value("text") for e in read_dataset(tmp_path / "out").examples] == ["one"]


def test_a_short_rest_is_replayed_and_is_no_labelled_example(tmp_path: Path, specs: Specs) -> None:
    rng = np.random.default_rng(0)
    with Recording(tmp_path, {"audio": (RATE,)}, split="eval", labels=["clap"], clock=VirtualClock()) as out:
        begin = out.began + 5.0
        given = [
            Sample(
                "audio", rng.uniform(-1, 1, 800).astype(np.float32), begin + 0.05 * (i + 1) - 1e-3, cut=i == 0
            )
            for i in range(42)  # two seconds, and a tenth
        ]
        for sample in given:
            out.put(sample)
    dataset = read_dataset(tmp_path)
    assert [(e.split, e.labels) for e in dataset.examples] == [
        ("eval", ("clap",)),
        ("eval", ("clap",)),
        ("pretrain", ()),
    ]
    assert {e.group for e in dataset.examples} == {"take 1"}
    found = list(Recorded(tmp_path, dataset.examples).samples(specs))
    assert_equal(found, given, given[0].time - found[0].time)


@pytest.mark.parametrize("split", ["train", "calibrate", "eval"])
def test_what_is_shorter_than_a_segment_is_an_example(split: str, tmp_path: Path) -> None:
    record(tmp_path, take(NOW, 1.0), seconds=10.0, split=split, labels=("clap",))
    assert len(read_dataset(tmp_path).split(split)) == 1


def test_what_is_no_recording_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(RecordingError, match="is not a recording"):
        Recording(tmp_path, {"audio": (RATE,)})
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"split": split}, "all but pretrain need a label") for split in ("train", "calibrate", "eval")),
        *(({"seconds": seconds}, "give 60 s or less") for seconds in (100_000.0, 0.0, float("nan"))),
        ({"labels": ("clap",), "background": True}, "a background shows none of the classes"),
    ],
)
def test_what_cannot_be_recorded_makes_no_folder(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordingError, match=message):
        Recording(tmp_path / "new", {"audio": (RATE,)}, **options)
    assert not (tmp_path / "new").exists()


def test_files_are_on_the_disk_before_the_index_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(number: int) -> None:
        real(number)
        synced.append(Path(f"/proc/self/fd/{number}").resolve().name)

    monkeypatch.setattr(os, "fsync", fsync)
    record(tmp_path, take(NOW, 0.5), seconds=10.0)
    order = [name for name in synced if name != "events.jsonl"]
    assert order == ["000000.mkv.partial", "000000.jsonl.partial", "segments", "index.jsonl"]


@pytest.mark.parametrize("end", [0.0, 0.0004, 0.1204, 0.1205])
def test_a_place_in_a_file_never_ends_where_it_begins(end: float) -> None:
    place = _place(end - 0.0004, end)
    assert not place or place["end"] > place.get("start", 0.0)


@pytest.mark.parametrize("name", ["index.jsonl", "events.jsonl"])
def test_a_line_that_a_power_cut_broke_off_costs_that_line_only(
    tmp_path: Path, specs: Specs, name: str
) -> None:
    record(tmp_path, take(NOW, 2.0))
    whole = (tmp_path / name).read_bytes()
    before = read_dataset(tmp_path).examples
    last = whole[:-1].rfind(b"\n") + 1
    for end in (last + 1, (last + len(whole)) // 2, len(whole) - 2):
        for tail in (whole[last:end], b"\0" * (end - last)):
            (tmp_path / name).write_bytes(whole[:last] + tail)
            dataset = read_dataset(tmp_path)
            lost = name == "index.jsonl"
            assert dataset.examples == (before[:-1] if lost else before)
            assert len(dataset.skipped) == lost
            assert list(Recorded(tmp_path, dataset.examples).samples(specs))
            assert len(Recorded(tmp_path, dataset.examples).events) == (3 if lost else 2)
    (tmp_path / "segments" / "000099.mkv.partial").write_bytes(b"half")
    record(tmp_path, take(NOW, 0.5))  # it is mended and goes on
    dataset = read_dataset(tmp_path)
    assert not dataset.skipped
    assert not list(tmp_path.rglob("*.partial"))
    assert list(Recorded(tmp_path, dataset.examples).samples(specs))


def endless(folder: Path, limit: Callable[[], None] | None = None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, ENDLESS, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,  # noqa: PLW1509 - nothing else runs here
    )


def whole(folder: Path, committed: int) -> None:
    """Check that a recording holds what was committed, and that all it holds is good."""
    dataset = read_dataset(folder)
    assert len(dataset.examples) >= committed
    for segment in Recorded(folder, dataset.examples).segments:
        for sample in segment.samples():
            assert np.all(sample.data == round(sample.time * 1e6) % 256)


@pytest.mark.real
@pytest.mark.parametrize("attempt", [0, 2, 5])
def test_a_kill_at_any_moment_leaves_every_committed_segment(tmp_path: Path, attempt: int) -> None:
    with endless(tmp_path / "out") as process:
        assert process.stdout is not None
        for _ in range(attempt + 2):  # it begins, and commits
            assert process.stdout.readline()
        sleep(attempt * 0.004)  # another moment within a segment each time
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().splitlines()
    committed = attempt + 1 + len(rest)
    whole(tmp_path / "out", committed)


@pytest.mark.real
def test_a_full_disk_stops_the_recording_and_leaves_what_it_had(tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # the index is the file that grows

    with endless(tmp_path / "out", limit=small_files) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "cannot be written (File too large)" in errors.splitlines()[-1]
    committed = len(output.splitlines()) - 1
    assert committed > 2
    whole(tmp_path / "out", committed)
    assert not list((tmp_path / "out").rglob("*.partial"))
    assert not read_dataset(tmp_path / "out").skipped, "no half line is left"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("of_the_user", [False, True])
def test_a_recording_is_private(tmp_path: Path, *, of_the_user: bool) -> None:
    folder = tmp_path / "above" / "clips"
    if of_the_user:
        folder.mkdir(parents=True)
        folder.chmod(0o755)
    record_take(folder, "audio", "video", "text")
    (folder / "segments" / "000001.mkv.partial").touch(0o666)  # what a kill leaves
    record_take(folder, "audio", "video", "text")
    found = [*folder.rglob("*")]
    assert len(found) == 1 + 2 + 4, "two segments of two files each, the index and the events"
    for path in found:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path
    assert mode(folder) == (0o755 if of_the_user else 0o700), "as the user made it"


# A recording keeps to one form, and names the line that is bad.


def record_take(folder: Path, *modalities: str, rate: int = 16000, size: tuple[int, int] = (32, 32)) -> None:
    """Record one sample of each modality as a separate take."""
    data = {"audio": np.zeros(800, np.float32), "video": np.zeros((*size, 3), np.uint8), "text": "a \u2028 b"}
    with Recording(folder, {"audio": (rate,), "video": size}, seconds=60.0, clock=VirtualClock()) as out:
        for modality in modalities:
            out.put(Sample(modality, data[modality], out.began, cut=True))  # type: ignore[arg-type]


def read(folder: Path, specs: Specs) -> Recorded:
    return Recorded(folder, read_dataset(folder).examples, specs)


def test_a_take_of_another_form_is_refused_where_one_was_recorded(tmp_path: Path, specs: Specs) -> None:
    record_take(tmp_path, "audio", size=(24, 32))  # it has no pictures, so it sets no size
    record_take(tmp_path, "audio", "video")
    with pytest.raises(RecordingError, match="video at 32 x 32"):
        record_take(tmp_path, "video", size=(24, 32))
    with pytest.raises(RecordingError, match="audio at 16000 Hz"):
        record_take(tmp_path, "audio", rate=8000)
    with Recording(tmp_path, {"audio": (16000,)}, clock=VirtualClock()) as out:  # of any size of pictures
        out.put(Sample("video", np.zeros((24, 32, 3), np.uint8), out.began))
    recorded = read(tmp_path, specs)
    sizes = [s.header.form["video"] for s in recorded.segments if "video" in s.example.modalities]
    assert sizes == [(32, 32), (24, 32)], "each segment is converted from its own form"
    shown = [sample for sample in recorded.samples(specs) if sample.modality == "video"]
    assert [np.shape(sample.data) for sample in shown] == [(32, 32, 3)] * 2


def test_a_bad_line_is_named(tmp_path: Path, specs: Specs) -> None:
    record_take(tmp_path, "text")
    record_take(tmp_path, "text")
    segment = tmp_path / "segments" / "000001.jsonl"
    for name, path in (("events", tmp_path / "events.jsonl"), ("index", tmp_path / "index.jsonl")):
        good = path.read_text()
        path.write_text(good.replace('"', "", 1))
        with pytest.raises(RecordingError, match=rf"{name}\.jsonl:1: .*not JSON.*; repair"):
            record_take(tmp_path, "text")
        if name == "events":
            with pytest.raises(BadDataError, match=r"events\.jsonl:1: .*not JSON"):
                _ = read(tmp_path, specs).events
        path.write_text(good)
    segment.write_text(segment.read_text().replace('"time"', '"tune"'))
    with pytest.raises(BadDataError, match=r"000001\.jsonl:2: .*time: "):
        list(read(tmp_path, specs).samples(specs))
