"""A series is recorded beside the media, every bit of it, and is a field of a dataset at once."""

from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from sensemble_sensors.errors import RecordingError
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import check, window
from sensemble_sensors.recording.header import form_of
from sensemble_sensors.recording.reader import Recorded
from sensemble_sensors.recording.takes import delete_take
from sensemble_sensors.recording.writer import Recording
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import Channel, InputSpec, declared

RATE = 12.5
CHANNELS = (Channel("ax", "m/s^2", -20, 20), Channel("temp", "K"))
IMU = InputSpec("imu.wrist", "float32", (1, 10, 2), RATE, 0.8, 0.4, 1.6, "series", CHANNELS)
AUDIO = InputSpec("audio", "float32", (1, 800), 8000, 0.1, 0.1, 0.2)
SPECS = {"imu.wrist": IMU, "audio": AUDIO}


def take(seconds: float, seed: int) -> list[Sample]:
    """Blocks of rows of any size, and sound, soon from now on; the rows have one hole."""
    rng, begin = np.random.default_rng(seed), monotonic() + 5
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
    specs = {m: SPECS[m] for m in modalities}
    kinds = declared(specs.values())
    with Recording(folder, form_of(specs), split="train", labels=["walk"], declared=kinds) as out:
        for sample in samples:
            if sample.modality in specs:
                out.put(sample)


@pytest.mark.parametrize("modalities", [("imu.wrist",), ("audio", "imu.wrist")])
def test_rows_are_read_back_bit_for_bit(tmp_path: Path, modalities: tuple[str, ...]) -> None:
    given = [sample for sample in take(3.0, 0) if sample.modality in modalities]
    record(tmp_path / "out", given, *modalities)
    dataset = read_dataset(tmp_path / "out")
    found = list(Recorded(tmp_path / "out", dataset.examples, SPECS).samples(SPECS))
    assert [(s.modality, s.cut) for s in found] == [(s.modality, s.cut) for s in given]
    shift = given[0].time - found[0].time
    assert [s.time for s in found] == pytest.approx([s.time - shift for s in given], abs=1e-6)
    for one, other in zip(found, given, strict=True):
        assert isinstance(one.data, np.ndarray)
        assert one.data.dtype == np.float32
        np.testing.assert_array_equal(one.data, other.data)


def test_a_segment_is_an_example_whose_rows_lie_beside_the_sound(tmp_path: Path) -> None:
    samples = take(3.0, 1)
    record(tmp_path / "out", samples, *SPECS)
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


def test_a_deleted_take_leaves_no_rows_and_another_form_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "out", take(2.0, 2), *SPECS)
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
