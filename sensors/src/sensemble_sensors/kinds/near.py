"""Near windows: made of windows of known classes, and yet of none.

Noise and darkness are easily told from what was learned. What a deployment meets is near: half a word, two
at once, a mirrored picture. A kind makes such windows, and an audit measures by them how sure
answers are where they should not be. Familiarity learns from those that are `learned`; encoders from none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.kinds.conditions.condition import Draw

Array = NDArray[Any]


Make = Callable[[Any, Any, Draw], Any]
"""Makes one of a window, array [1, ...] or caption, and of one of another class."""


@dataclass(frozen=True, slots=True)
class Near:
    """A sort of near windows."""

    name: str  # one word, shared by kinds that make the same
    phrase: str  # in words
    make: Make
    both: bool = False  # the other class is also shown
    learned: bool = False  # by familiarity, as none of the classes


def _mean(window: Array) -> Array:
    """Return the mean of each channel, and of all sound, to be broadcast."""
    axes = tuple(range(1, max(2, window.ndim - 1)))
    return np.asarray(window.mean(axis=axes, keepdims=True))


def _like(window: Array, made: NDArray[np.floating]) -> Array:
    return (np.rint(made) if window.dtype == np.uint8 else made).astype(window.dtype)


def _mixed(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    return _like(window, (window.astype(np.float64) + other) / 2)


# For sound and series, [1, T] and [1, T, C].


def _half(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    made, at = window.copy(), _middle(window)
    made[:, slice(at, None) if draw.random() < 0.5 else slice(at)] = _mean(window)
    return made


def _joined(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    made, at = window.copy(), _middle(window)
    rest = other[:, _middle(other) :][:, : window.shape[1] - at]
    made[:, at:] = _mean(other)
    made[:, at : at + rest.shape[1]] = rest
    return made


def _reversed(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    return np.flip(window, axis=1).copy()


def _fast(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    """Play at twice the speed: sound and then silence, a series twice."""
    even, odd = window[:, : window.shape[1] // 2 * 2 : 2], window[:, 1::2]
    half = (even + odd) / 2
    rest = np.zeros_like(half) if window.ndim == 2 else half
    return np.concatenate([half, rest, window[:, : window.shape[1] % 2]], axis=1).astype(window.dtype)


def _upended(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    return _like(window, 2 * _mean(window) - window)


def _middle(window: Array) -> int:
    """Return where half of what happens is over."""
    power = ((window - _mean(window)) ** 2).reshape(window.shape[1], -1).sum(axis=1)
    return int(np.searchsorted(np.cumsum(power), power.sum() / 2))


# For pictures, [1, T, H, W, C].


def _half_seen(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    """Cover the upper, lower, left or right half by the mean colour."""
    made, side = window.copy(), draw.integers(4)
    view = made if side < 2 else made.swapaxes(2, 3)
    half = view.shape[2] // 2
    view[:, :, slice(half) if side % 2 else slice(half, None)] = _like(window, _mean(window))
    return made


def _both_seen(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    half = window.shape[3] // 2
    return np.concatenate([window[:, :, :, :half], other[:, :, :, half:]], axis=3)


def _mirrored(window: Array, other: Array, draw: Draw) -> Array:  # noqa: ARG001
    return np.flip(window, axis=3).copy()


# For captions.


def _half_said(caption: str, other: str, draw: Draw) -> str:  # noqa: ARG001
    words, first = caption.split(), draw.random() < 0.5
    half = (len(words) + first) // 2
    return " ".join(words[:half] if first else words[half:])


def _both_said(caption: str, other: str, draw: Draw) -> str:  # noqa: ARG001
    return f"{caption}, {other}"


def _joined_words(caption: str, other: str, draw: Draw) -> str:  # noqa: ARG001
    words, rest = caption.split(), other.split()
    return " ".join([*words[: len(words) // 2], *rest[len(rest) // 2 :]])


def _negated(caption: str, other: str, draw: Draw) -> str:
    pattern = draw.choice(["this is not {}", "there is no {}", "{}? no, not at all"])
    return str(pattern.format(draw.choice([caption, other])))


_NAMED = {"mixed": "two classes at once", "half": "half of it", "joined": "half of one, half of another"}


def _common(mixed: Make, half: Make, joined: Make, learned: Sequence[str]) -> tuple[Near, ...]:
    """Return the near windows that all kinds have."""
    made = {"mixed": mixed, "half": half, "joined": joined}
    return tuple(
        Near(name, _NAMED[name], made[name], both=name != "half", learned=name in learned) for name in _NAMED
    )


_IN_TIME = Near("reversed", "backwards", _reversed), Near("fast", "at twice the speed", _fast)
WAVEFORM = (*_common(_mixed, _half, _joined, learned=tuple(_NAMED)), *_IN_TIME)
# Half of an activity may be that activity, and halves of two its border: learning them gains nothing.
SERIES = (
    *_common(_mixed, _half, _joined, learned=()),
    *_IN_TIME,
    Near("upended", "turned over", _upended),
)
FRAMES = (
    *_common(_mixed, _half_seen, _both_seen, learned=tuple(_NAMED)),
    Near("mirrored", "mirrored", _mirrored),
)
# Half of a caption, or halves of two, may be a good caption.
TEXT = (
    *_common(_both_said, _half_said, _joined_words, learned=("mixed",)),
    Near("negated", "denied", _negated),
)
