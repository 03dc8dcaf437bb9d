"""The wrist that writes digits in the air."""

import numpy as np
import pytest
from sensemble_train.digits.motion import CHANNELS, MOTION_RATE, RANGES, render_motion, wrist
from sensemble_train.digits.personas import personas

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
