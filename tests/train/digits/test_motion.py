"""The wrist that writes digits in the air."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sensemble_runtime.progress import no_progress
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.digits.build import build
from sensemble_train.digits.motion import CHANNELS, MOTION_RATE, RANGES, render_motion, wrist
from sensemble_train.digits.personas import personas
from sensemble_train.digits.plan import DigitsConfig
from sensemble_train.models.infer_spec import describe

PEOPLE = personas(0)["train"]


def motions(digit: int | None, person: int, count: int) -> np.ndarray:
    worn = wrist(PEOPLE[person], np.random.default_rng(person))
    return np.stack(
        [render_motion(digit, PEOPLE[person], worn, np.random.default_rng([person, i])) for i in range(count)]
    )


def test_gravity_is_felt_and_each_person_wears_it_another_way_round() -> None:
    rest = [motions(1, person, 6).mean(axis=(0, 1)) for person in range(8)]
    strength = np.linalg.norm([mean[:3] for mean in rest], axis=1)
    assert strength == pytest.approx(9.81, abs=1.5)
    assert np.std([mean[:3] for mean in rest], axis=0).max() > 1
    low, high = np.transpose(RANGES)
    rows = motions(8, 0, 20)
    assert rows.shape == (20, MOTION_RATE, len(CHANNELS))
    assert rows.dtype == np.float32
    assert ((rows >= low) & (rows <= high)).all()


def test_the_same_digit_of_a_person_looks_alike_and_others_differ() -> None:
    spectra = {digit: np.abs(np.fft.rfft(motions(digit, 3, 20)[:, :, :3], axis=1)) for digit in range(10)}
    means = {digit: one[:10].mean(axis=0) for digit, one in spectra.items()}
    right = [
        min(means, key=lambda d: float(np.square(means[d] - one).sum())) == digit
        for digit, some in spectra.items()
        for one in some[10:]
    ]
    assert np.mean(right) > 0.5, "a tenth would be chance"


def test_it_is_a_fourth_modality_that_changes_no_other(tmp_path: Path) -> None:
    few = tuple((split, 6) for split in ("pretrain", "train", "calibrate", "eval"))
    config = DigitsConfig(pictures=few, renderings=tuple((s, 1) for s, _ in few), backgrounds=few)
    plain, four = tmp_path / "three", tmp_path / "four"
    build(plain, config, no_progress)
    build(four, replace(config, imu=True), no_progress)
    lines = [json.loads(line) for line in (four / "index.jsonl").read_text().splitlines()]
    assert [{k: v for k, v in line.items() if k != "imu"} for line in lines] == [
        json.loads(line) for line in (plain / "index.jsonl").read_text().splitlines()
    ]
    dataset = read_dataset(four)
    assert dataset.modalities == ("audio", "imu", "text", "video")
    spec = describe(dataset).specs["imu"]
    assert spec.shape == (1, MOTION_RATE, 6)
    window = kind_of(spec).window(dataset.examples[0], spec)
    np.testing.assert_array_equal(window[0], np.load(dataset.examples[0].value("imu")))  # type: ignore[index, arg-type]
    first = plain / "media" / "00000.mkv"
    assert first.read_bytes() == (four / "media" / "00000.mkv").read_bytes()
