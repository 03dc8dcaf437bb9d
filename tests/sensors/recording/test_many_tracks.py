"""A recording of several sensors of one kind, of kinds that their names do not say, and of series."""

import json
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from sensemble_sensors.clock import VirtualClock
from sensemble_sensors.errors import RecordingError, SpecError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import check, window
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.recording.replay import MediaReplay
from sensemble_sensors.recording.takes import delete_take, read_takes
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec, declared

from tests.sensors.recording.written import assert_equal, written
from tests.waiting import wait_until

pytestmark = pytest.mark.real

SPECS = {
    "audio.left": InputSpec("audio.left", "float32", (1, 4000), 8000, 0.5, 0.5, 1),
    "audio.right": InputSpec("audio.right", "float32", (1, 2000), 4000, 0.5, 0.5, 1),
    "note": InputSpec("note", "int64", (1, 8), 0, 0, 0, 1, "text"),
    "thermal": InputSpec("thermal", "uint8", (1, 4, 16, 16, 3), 8, 0.5, 0.5, 1, "frames"),
    "video.front": InputSpec("video.front", "uint8", (1, 4, 32, 32, 3), 8, 0.5, 0.5, 1),
    "video.rear": InputSpec("video.rear", "uint8", (1, 4, 24, 32, 3), 8, 0.5, 0.5, 1),
}
EVERY = declared(SPECS.values())


def samples(begin: float) -> list[Sample]:
    rng = np.random.default_rng(0)
    found = [Sample("note", "two cameras", begin + 0.3, cut=True)]
    for m, spec in SPECS.items():
        if spec.kind == "frames":
            for i in range(8):
                data = rng.integers(0, 256, spec.shape[2:], dtype=np.uint8)
                found.append(Sample(m, data, begin + i / 8 + 0.01, cut=i == 0))
        elif spec.kind == "waveform":
            for i in range(10):
                wave = rng.uniform(-1, 1, round(spec.rate / 10)).astype(np.float32)
                found.append(Sample(m, wave, begin + (i + 1) / 10 - 0.005, cut=i == 0))
    return sorted(found, key=lambda sample: sample.time)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Sample]]:
    folder, given = tmp_path_factory.mktemp("many"), samples(5.005)
    written(folder, given, form_of(SPECS), declared=EVERY, split="train", labels=["one"])
    return folder, given


def test_any_number_of_tracks_of_one_kind_come_back_bit_for_bit(recorded: tuple[Path, list[Sample]]) -> None:
    folder, given = recorded
    assert json.loads((folder / "modalities.json").read_text()) == {
        "note": {"kind": "text"},
        "thermal": {"kind": "frames"},
    }
    dataset = read_dataset(folder)
    assert dataset.modalities == tuple(SPECS)
    found = list(Recorded(folder, dataset.examples).samples(SPECS))
    assert_equal(found, given, given[0].time - found[0].time)
    (take,) = read_takes(folder)
    assert take.modalities == tuple(SPECS)


def test_the_example_of_each_modality_is_its_own_track(recorded: tuple[Path, list[Sample]]) -> None:
    folder, given = recorded
    example = read_dataset(folder).examples[0]
    for m, spec in SPECS.items():
        window = kind_of(spec).window(example, spec)
        if spec.kind == "frames":
            first = next(s.data for s in given if s.modality == m)
            np.testing.assert_array_equal(np.asarray(window)[0, 0], first)
        elif spec.kind == "waveform":
            wave = np.concatenate([np.asarray(s.data) for s in given if s.modality == m])
            assert np.corrcoef(np.asarray(window)[0, 800:1600], wave[800:1600])[0, 1] > 0.9
    file = example.files[0]
    assert MediaReplay(file, SPECS).modalities == tuple(m for m in SPECS if m != "note")
    other = {m: replace(SPECS["video.rear"], modality=m) for m in ("video.back", "video.top")}
    assert MediaReplay(file, other).modalities == ("video.back",), "of an unknown name, the first"


def test_a_take_that_says_another_kind_of_a_name_is_refused(recorded: tuple[Path, list[Sample]]) -> None:
    folder, _ = recorded
    other = {"note": InputSpec("note", "uint8", (1, 4, 16, 16, 3), 8, 0.5, 0.5, 1, "frames")}
    with pytest.raises(RecordingError, match=r"modalities\.json: note is already .*; "):
        Recording(folder, {}, declared=declared(other.values()))
    with pytest.raises(SpecError, match="smell: its kind is not known"), Recording(folder, {}) as out:
        out.put(Sample("smell", "flowers", monotonic()))


RATE = 12.5
CHANNELS = (Channel("ax", "m/s^2", -20, 20), Channel("temp", "K"))
IMU = InputSpec("imu.wrist", "float32", (1, 10, 2), RATE, 0.8, 0.4, 1.6, "series", CHANNELS)
AUDIO = InputSpec("audio", "float32", (1, 800), 8000, 0.1, 0.1, 0.2)
WRIST = {"imu.wrist": IMU, "audio": AUDIO}


def take(seconds: float, seed: int) -> list[Sample]:
    """Blocks of rows of any size, and sound; the rows have one hole."""
    rng, begin = np.random.default_rng(seed), 5.0
    samples, count = [], 0
    while count < seconds * RATE:
        rows = (rng.normal(0, 1, (int(rng.integers(1, 6)), 2)) * [1, 1e6]).astype(np.float32)
        cut = not samples or count // 20 != (count + len(rows)) // 20
        count += len(rows)
        samples.append(Sample("imu.wrist", rows, begin + (count + 3 * (count > 20)) / RATE, cut))
    for i in range(round(10 * seconds)):
        wave = rng.uniform(-1, 1, 800).astype(np.float32)
        samples.append(Sample("audio", wave, begin + (i + 1) / 10, cut=i == 0))
    return sorted(samples, key=lambda sample: sample.time)


def record(folder: Path, samples: list[Sample], *modalities: str) -> None:
    specs = {m: WRIST[m] for m in modalities}
    own = [sample for sample in samples if sample.modality in specs]
    written(folder, own, form_of(specs), split="train", labels=["walk"], declared=declared(specs.values()))


@pytest.mark.parametrize("modalities", [("imu.wrist",), ("audio", "imu.wrist")])
def test_rows_are_read_back_bit_for_bit(tmp_path: Path, modalities: tuple[str, ...]) -> None:
    given = [sample for sample in take(3.0, 0) if sample.modality in modalities]
    record(tmp_path / "out", given, *modalities)
    dataset = read_dataset(tmp_path / "out")
    found = list(Recorded(tmp_path / "out", dataset.examples, WRIST).samples(WRIST))
    assert_equal(found, given, given[0].time - found[0].time)


def test_a_segment_is_an_example_whose_rows_lie_beside_the_sound(tmp_path: Path) -> None:
    samples = take(3.0, 1)
    record(tmp_path / "out", samples, *WRIST)
    example = read_dataset(tmp_path / "out").examples[1]
    assert (example.modalities, example.labels) == (("audio", "imu.wrist"), ("walk",))
    path = example.value("imu.wrist")
    assert isinstance(path, Path)
    assert path.suffix == ".csv"
    assert path.read_text().startswith("time,ax,temp\n")
    check(example, read_dataset(tmp_path / "out").declared)
    rows = np.asarray(window(example, IMU))[0]
    # The row nearest to the segment's begin is the first, to half a step.
    own = np.concatenate([np.asarray(s.data) for s in samples if s.modality == "imu.wrist"])
    assert min(np.abs(own - rows[4]).sum(axis=1)) < np.abs(own[0] - own[1]).sum()
    assert np.isfinite(rows).all()


def test_rows_that_all_come_after_their_segment_make_no_example_without_rows(tmp_path: Path) -> None:
    rows, wave = np.zeros((1, 2), np.float32), np.zeros(800, np.float32)
    clock = VirtualClock(0.0)
    with Recording(tmp_path / "out", form_of(WRIST), declared=declared(WRIST.values()), clock=clock) as out:
        out.put(Sample("imu.wrist", rows, 0.5, cut=True))
        clock.advance(5.0)
        out.event("wrist", "imu.wrist", "lost", "its phone is silent")
        wait_until(lambda: out.segments == 1)
        out.put(Sample("imu.wrist", rows, 0.9))
        out.put(Sample("audio", wave, 4.6, cut=True))
    dataset = read_dataset(tmp_path / "out")
    assert [example.modalities for example in dataset.examples] == [("imu.wrist",), ("audio",)]
    events = Recorded(tmp_path / "out", dataset.examples, WRIST).events
    assert "they lie before their example: 1 samples are lost" in [event.text for event in events]


@pytest.mark.parametrize(
    ("sound", "rows", "found"),
    [
        (0.2, 0.9, ("audio", "imu.wrist")),  # a microphone that dies before the first row
        (0.9, 0.2, ("audio",)),  # rows that end before it begins: no span holds both
        (0.0, 0.9, ("audio", "imu.wrist")),  # all sound lies before it
        (0.9, 0.768, ("audio", "imu.wrist")),  # a row 0.4 of a step before the sound
    ],
)
def test_rows_lie_within_the_span_of_their_example(
    tmp_path: Path, sound: float, rows: float, found: tuple[str, ...]
) -> None:
    wave = Sample("audio", np.zeros(800, np.float32), 5 + sound, cut=True)
    given = [wave, Sample("imu.wrist", np.zeros((1, 2), np.float32), 5 + rows, cut=True)]
    record(tmp_path / "out", sorted(given, key=lambda sample: sample.time), *WRIST)
    dataset = read_dataset(tmp_path / "out")
    example = dataset.examples[-1]
    assert example.modalities == found
    check(example, dataset.declared)
    for m in found:
        window(example, WRIST[m])


def test_a_deleted_take_leaves_no_rows_and_another_form_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "out", take(2.0, 2), *WRIST)
    with pytest.raises(RecordingError, match=r"imu.wrist"):
        Recording(
            tmp_path / "out",
            {"imu.wrist": (3, 12500)},
            declared=declared(
                [InputSpec("imu.wrist", "float32", (1, 1, 1), 5, 0.2, 0.1, 1.0, "series", CHANNELS[:1])]
            ),
        )
    delete_take(tmp_path / "out", 1)
    assert list((tmp_path / "out" / "segments").iterdir()) == []


def test_another_rate_is_converted(tmp_path: Path) -> None:
    samples = [sample for sample in take(3.0, 3) if sample.modality == "imu.wrist"]
    record(tmp_path / "out", samples, "imu.wrist")
    examples = read_dataset(tmp_path / "out").examples
    double = InputSpec("imu.wrist", "float32", (1, 20, 2), 25, 0.8, 0.4, 1.6, "series", CHANNELS)
    found = list(Recorded(tmp_path / "out", examples).samples({"imu.wrist": double}))
    count = sum(len(sample.data) for sample in found)
    assert count == pytest.approx(2 * sum(len(sample.data) for sample in samples), abs=10)
