"""Triads: the channels of a series that are the three axes of one vector."""

import re
from collections.abc import Sequence

from sensemble_sensors.spec import Channel

_AXIS = re.compile(r"(.*?)([xyz])", re.IGNORECASE)


def triads(channels: Sequence[Channel]) -> list[tuple[int, int, int]]:
    """Return the places of x, y and z of each vector, by names such as `ax`, `gyro.y`, `mag_z`."""
    axes: dict[tuple[str, str], dict[str, int]] = {}
    for place, channel in enumerate(channels):
        if match := _AXIS.fullmatch(channel.name):
            axes.setdefault((match[1].lower(), channel.unit), {})[match[2].lower()] = place
    return [(each["x"], each["y"], each["z"]) for each in axes.values() if len(each) == 3]
