"""Near windows: of the form of the window they are made of, other than it, and the same for the same draw."""

import numpy as np
import pytest
from sensemble_sensors.kinds.near import Near
from sensemble_sensors.kinds.registry import KINDS

FORMS = {
    "waveform": ((1, 1601), np.float32),
    "series": ((1, 101, 3), np.float32),
    "frames": ((1, 2, 13, 11, 3), np.uint8),
}
SORTS = [pytest.param(name, near, id=f"{name}-{near.name}") for name in FORMS for near in KINDS[name].near]


@pytest.mark.parametrize(("name", "near"), SORTS)
def test_a_near_window_has_the_form_of_a_window(name: str, near: Near) -> None:
    shape, dtype = FORMS[name]
    draw = np.random.default_rng(0)
    window, other = ((200 * draw.random(shape)).astype(dtype) for _ in range(2))
    kept = window.copy(), other.copy()
    made = near.make(window, other, np.random.default_rng(1))
    assert (made.shape, made.dtype) == (shape, dtype)
    assert min(made.strides) > 0, "PyTorch takes no other"
    assert not np.array_equal(made, window)
    assert np.array_equal(made, near.make(window, other, np.random.default_rng(1)))
    assert all(map(np.array_equal, kept, (window, other)))
    assert np.array_equal(made, near.make(window, window, np.random.default_rng(1))) != near.both


def test_half_a_word_is_cut_where_half_of_it_is_over() -> None:
    (half,) = (near for near in KINDS["waveform"].near if near.name == "half")
    spoken = np.zeros((1, 1000), np.float32)
    spoken[:, 100:200] = np.tile([1, -1], 50)
    made = half.make(spoken, spoken, np.random.default_rng(0))
    assert np.abs(made).sum() == pytest.approx(50, abs=1)


def test_near_captions_are_captions() -> None:
    made = {
        near.name: near.make("I see five apples", "she counts to three", np.random.default_rng(0))
        for near in KINDS["text"].near
    }
    assert made["mixed"] == "I see five apples, she counts to three"
    assert made["joined"] == "I see to three"
    assert made["half"] in {"I see", "five apples"}
    assert made["negated"].split()[0] in {"this", "there", "I", "she"}
