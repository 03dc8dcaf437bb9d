"""The pictures of a thermal or a depth camera: the camera's own 16-bit numbers, and shares of their range."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.spec import Channel

_MOST = (1 << 16) - 1  # a number of 16 bits


def shares(numbers: NDArray[np.uint16], channel: Channel) -> NDArray[np.float32]:
    """Return where numbers lie in their channel's range: 0 at its least value or below, 1 at its greatest."""
    low, width = np.float32(channel.low), np.float32(channel.high - channel.low)
    return ((numbers.astype(np.float32) - low) / width).clip(0, 1)


def numbers(shares: NDArray[np.floating], channel: Channel) -> NDArray[np.uint16]:
    """Return the nearest numbers of shares of a channel's range."""
    exact = np.rint(channel.low + (channel.high - channel.low) * shares)
    return np.asarray(exact, np.uint16)


def range_problem(channels: Sequence[Channel]) -> str:
    """Return why pictures cannot have these channels; empty if they can."""
    if len(channels) > 1 or not all(
        0 <= each.low <= each.high - 1 and each.high <= _MOST for each in channels
    ):
        return (
            f"pictures have one channel, with a range of 1 or more within [0, {_MOST}], or none and are RGB"
        )
    return ""
