"""Films of drawings: a digit is somewhere in the picture, near or far, by thin and by thick pens."""

import numpy as np
from sensemble_train.digits.drawing import Drawing, digit_drawing
from sensemble_train.digits.filming import SIZE, render_video
from sensemble_train.digits.personas import personas

PEOPLE = personas(0)["train"]
PICTURE = np.pad(np.full((6, 2), 16.0), ((1, 1), (3, 3)))


def changed(seed: int) -> tuple[float, float, float]:
    """Return where a digit changes a picture of an empty sheet: its height, middle row and column."""
    digit = digit_drawing(seed % 10, PICTURE, np.random.default_rng([seed, 1]))
    with_it, without = (
        render_video(drawing, PEOPLE[seed], np.random.default_rng([seed, 2]), count=1)[0].astype(int)
        for drawing in (digit, Drawing())
    )
    rows, columns = np.nonzero(np.abs(with_it - without).max(axis=2) > 12)
    assert len(rows), f"{seed}: nothing is seen"
    return (np.ptp(rows) + 1) / SIZE, float(rows.mean()), float(columns.mean())


def test_a_digit_is_near_or_far_and_anywhere_in_the_picture() -> None:
    found = np.array([changed(seed) for seed in range(60)])
    heights, middles = found[:, 0], found[:, 1:]
    assert heights.min() < 0.3
    assert heights.max() > 0.75
    assert middles.min(axis=0).max() < 0.35 * SIZE
    assert middles.max(axis=0).min() > 0.65 * SIZE


def test_pens_are_thin_and_thick() -> None:
    shares = [digit_drawing(0, PICTURE, np.random.default_rng(seed)).ink(64).mean() for seed in range(40)]
    assert min(shares) < 0.05
    assert max(shares) > 0.15


def test_an_empty_sheet_has_no_ink() -> None:
    assert Drawing().empty
    assert not Drawing().ink(32).any()
