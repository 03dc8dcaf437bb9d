"""Physical quantities of inertial sensors: the names and the units that devices and datasets give them."""

import re

GRAVITY = 9.80665  # m/s^2

_QUANTITIES = {"a": "accel", "g": "anglvel", "m": "magn"}
_WORDS = {
    "acc": "accel",
    "acceleration": "accel",
    "accelerometer": "accel",
    "totalacceleration": "accel",
    "gyro": "anglvel",
    "gyr": "anglvel",
    "gyroscope": "anglvel",
    "rotationrate": "anglvel",
    "mag": "magn",
    "magnetometer": "magn",
}
_SCALES = {"g": 1 / GRAVITY, "mg": 1000 / GRAVITY, "deg/s": 57.29577951308232, "uT": 100.0, "T": 1e-4}


def quantity(name: str) -> str:
    """Return a channel's name in the words of Linux: `ax`, `acc_x` and `accelerometer_x` are `accel_x`."""
    short = re.fullmatch(r"([agm])[_.]?([xyz])", name.lower())
    if short:
        return f"{_QUANTITIES[short[1]]}_{short[2]}"
    long = re.fullmatch(r"(?:in_)?([a-z]+)([_.]?)([xyz])", name.lower())
    # Without a separator, `proximity` is no y of `proximit`.
    if long and (long[2] or long[1] in {*_WORDS, *_QUANTITIES.values()}):
        return f"{_WORDS.get(long[1], long[1])}_{long[3]}"
    return name


def per_unit(unit: str) -> float:
    """Return how many of `unit` are one of Linux's unit: m/s^2, rad/s, gauss. 1 for other units."""
    return _SCALES.get(unit, 1.0)
