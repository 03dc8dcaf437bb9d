"""The measurements in a pushed body: columns of numbers with times, by device and by physical quantity.

`{"payload": [{"name": "accelerometer", "time": 1698501144401773000, "values": {"x": 0.1, ...}}, ...]}` comes
from Sensor Logger: times in nanoseconds, each sensor at its own rate, a watch's among the phone's.
`{"acc_time": [0.01, ...], "accX": [0.1, ...], ...}` are columns, as an experiment of phyphox sends its
buffers by `http/post`: times in seconds, one list of them for each sensor, or `time` for all.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from sensemble_sensors.devices.rows import LATEST, number
from sensemble_sensors.devices.units import GRAVITY, quantity
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.resampling import Times
from sensemble_sensors.strict_json import DecodeError, unique

_NANO = 1e-9
_MICROTESLA = 0.01  # gauss
_LIGHT = 0.4 * GRAVITY  # m/s^2; where gravity is less, it is measured in g
_OTHERS = ("watch", "wrist")  # what a watch's sensors begin with, in a phone's payload
WATCH = "watch"


class Column(NamedTuple):
    """Numbers and when they were measured, in seconds of the sender's clock."""

    times: Times
    values: Times


class Measurements(NamedTuple):
    """The measurements of one sensor of a device.

    Attributes:
        device: "" for the one that sends.
        rank: of several sensors that measure a quantity, the highest is used.
        known: by quantity (`units.quantity`) in m/s^2, rad/s or gauss.
        named: by the sender's name, unchanged.
    """

    device: str
    name: str
    rank: int
    known: Mapping[str, Column]
    named: Mapping[str, Column]


def decode(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON of a body, None if it is none; BadDataError if it nests too deeply or repeats a key."""
    try:
        return json.loads(body, object_pairs_hook=unique)
    except DecodeError:
        raise
    except RecursionError as error:
        raise BadDataError("the body is no JSON") from error
    except ValueError:
        return None


def streams(sent: object) -> list[Measurements] | None:
    """Return the streams in decoded JSON; None if it holds rows. BadDataError says what is wrong."""
    if isinstance(sent, dict) and isinstance(sent.get("payload"), list):
        return _of_payload(sent["payload"])
    if isinstance(sent, dict) and any(isinstance(value, list) for value in sent.values()):
        return _of_columns({key: value for key, value in sent.items() if isinstance(value, list)})
    return None


def _of_payload(payload: list[Any]) -> list[Measurements]:
    found: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for item in payload:
        if not (isinstance(item, dict) and isinstance(item.get("name"), str)):
            raise BadDataError("payload: must hold objects with name, time and values")
        name = re.sub("[^a-z]", "", item["name"].lower())
        values = item["values"] if isinstance(item.get("values"), dict) else item
        sensor, time = found.setdefault(name, {}), None
        for field, value in values.items():
            if field != "time" and isinstance(value, int | float) and not isinstance(value, bool):
                if time is None:
                    time = _NANO * number(item.get("time"), f"{item['name']}.time", LATEST)
                times, numbers = sensor.setdefault(field, ([], []))
                times.append(time)
                numbers.append(number(value, f"{item['name']}.{field}"))
    sensors = {
        name: {field: Column(np.array(times), np.array(values)) for field, (times, values) in fields.items()}
        for name, fields in found.items()
    }
    return [_stream(name, fields, sensors) for name, fields in sensors.items()]


def _stream(name: str, fields: dict[str, Column], sensors: dict[str, dict[str, Column]]) -> Measurements:
    """Return a sensor's stream; an accelerometer's has gravity in it if the payload holds that too."""
    device = WATCH if name.startswith(_OTHERS) else ""
    kind = name.removeprefix(WATCH)
    rank, gravity = 0, sensors.get(name.removesuffix("accelerometer") + "gravity", {})
    if kind == "wristmotion":  # a watch's acceleration, gravity and rotation rate in one item
        gravity = {axis: fields[key] for axis in "xyz" if (key := f"gravity{axis.upper()}") in fields}
        moved = {axis: fields[key] for axis in "xyz" if (key := f"acceleration{axis.upper()}") in fields}
        scale = _in_metres(gravity)
        known = {f"accel_{axis}": column for axis, column in _sum(moved, gravity, scale).items()}
        known |= {quantity(key): column for key, column in fields.items() if key.startswith("rotationRate")}
        return Measurements(device, name, 1, known, fields)
    if kind == "accelerometer":
        rank = 1
        if gravity.keys() >= fields.keys() & {*"xyz"}:
            rank, fields = 2, fields | _sum(fields, gravity, 1.0)
    elif kind == "accelerometeruncalibrated":
        rank, scale = 3, _in_metres(fields)
        fields = {key: Column(times, scale * values) for key, (times, values) in fields.items()}
    elif kind == "totalacceleration":
        rank = 4
    known = _known({f"{kind.removesuffix('uncalibrated')}_{key}": column for key, column in fields.items()})
    return Measurements(device, name, rank, known, {k: c for k, c in fields.items() if k not in {*"xyz"}})


def _sum(moved: Mapping[str, Column], gravity: Mapping[str, Column], scale: float) -> dict[str, Column]:
    return {
        axis: Column(times, scale * (values + np.interp(times, *gravity[axis])))
        for axis, (times, values) in moved.items()
        if axis in gravity
    }


def _in_metres(gravity: Mapping[str, Column]) -> float:
    """Return what brings an acceleration with gravity in it to m/s^2: iPhones and their watches have g."""
    if not {*"xyz"} <= gravity.keys():
        return 1.0
    times = gravity["x"].times
    squares = [np.interp(times, *gravity[axis]) ** 2 for axis in "xyz"]
    return GRAVITY if np.median(np.sqrt(np.sum(squares, axis=0))) < _LIGHT else 1.0


def _of_columns(lists: Mapping[str, list[Any]]) -> list[Measurements]:
    columns, places = {}, {key.lower(): key for key in lists}
    clocks = {key: _clock(key, places) for key in lists}
    for key, clock in clocks.items():
        if key in clocks.values():  # the times of others, or its own
            continue
        if clock is None:
            raise BadDataError(f"{key}: has no times; send them as the list `time`, in seconds")
        if len(lists[key]) != len(lists[clock]):
            raise BadDataError(f"{key}, {clock}: must be lists of one length")
        pairs = [
            (number(time, clock, LATEST), number(value, key))
            for time, value in zip(lists[clock], lists[key], strict=True)
            if time is not None and value is not None  # how phyphox writes NaN
        ]
        columns[key] = Column(*np.array(pairs, np.float64).reshape(-1, 2).T)
    return [Measurements("", ", ".join(sorted(columns)), 0, _known(columns), columns)]


def _clock(key: str, places: Mapping[str, str]) -> str | None:
    """Return the key of the times of a column: those of its sensor (`acc_time` of `accX`), or of all."""
    sensor = re.sub("[_.]?[xyz]$", "", key.lower())
    known = (f"{sensor}_time", f"{sensor}time", f"{sensor}_t", f"{sensor}t", "time", "t")
    return next((places[each] for each in known if each in places), None)


def _known(columns: Mapping[str, Column]) -> dict[str, Column]:
    known = {quantity(key): column for key, column in columns.items()}
    return {
        key: Column(times, _MICROTESLA * values) if key.startswith("magn_") else Column(times, values)
        for key, (times, values) in known.items()
    }
