"""Read and write `modalities.json` beside an index: the modalities of which a name alone does not say all.

    {"imu": {"kind": "series", "rate": 10, "channels": ["ax", "ay"], "units": ["m/s^2", "m/s^2"],
             "ranges": [[-20, 20], null]},
     "thermal": {"kind": "frames", "channels": ["temperature"], "ranges": [[27315, 32315]]}}

`kind` may be left out where the name implies it, and so may `device`, which carries the modality ("" for
none); the rest is for series, and for frames of one channel.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from sensemble_sensors import durable
from sensemble_sensors.errors import BadDataError, SpecError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.kinds.series_files import TIME
from sensemble_sensors.lines import MAX_LINE, Fields, opened
from sensemble_sensors.spec import HIGHEST_RATE, MAX_CHANNELS, Channel, Modality, device_name
from sensemble_sensors.strict_json import decode

FILE_NAME = "modalities.json"
_NAME = 64  # characters of the name of a channel, or of its unit


def read_modalities(folder: Path) -> dict[str, Modality]:
    """Return the modalities that a folder declares, by name; BadDataError names file, field and remedy."""
    path = folder / FILE_NAME
    try:
        with opened(path) as file:
            entries = Fields(file.read(MAX_LINE + 1)).values
        return {name: _modality(name, entry) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise BadDataError(f"{folder}: is no folder; a dataset is a folder with index.jsonl") from error
    except OSError as error:
        raise BadDataError(f"{path}: cannot be read ({error.strerror}); make it readable") from error
    except (BadDataError, SpecError) as error:
        raise BadDataError(f"{path}: {error}; see docs/reference/data.md") from error


def write_modalities(folder: Path, modalities: Mapping[str, Modality]) -> None:
    """Add modalities to the `modalities.json` of a folder; BadDataError if one is declared otherwise."""
    known = read_modalities(folder)
    if modalities.items() <= known.items():
        return
    if other := next(
        (name for name in modalities.keys() & known.keys() if modalities[name] != known[name]), ""
    ):
        raise BadDataError(
            f"{folder / FILE_NAME}: {other} is already declared, with another kind, rate, channels or "
            "device; name another folder, or another modality"
        )
    entries = {name: _entry(modality) for name, modality in sorted((known | dict(modalities)).items())}
    text = json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    durable.write(folder / FILE_NAME, text.encode(), private=True)


def _entry(modality: Modality) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": modality.kind}
    if modality.device != device_name(modality.name):
        entry["device"] = modality.device
    if modality.rate:
        entry["rate"] = modality.rate
    if channels := modality.channels:
        entry["channels"] = [channel.name for channel in channels]
        if any(channel.unit for channel in channels):
            entry["units"] = [channel.unit for channel in channels]
        ranges = [[channel.low, channel.high] for channel in channels]
        if any(math.isfinite(bound) for bounds in ranges for bound in bounds):
            entry["ranges"] = [[b if math.isfinite(b) else None for b in bounds] for bounds in ranges]
    return entry


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: str | None = None
    rate: Annotated[float, (1 / 3600, HIGHEST_RATE)] | None = None  # a window may last an hour
    channels: tuple[str, ...] | None = None
    units: tuple[str, ...] | None = None
    ranges: tuple[tuple[float | None, ...] | None, ...] | None = None
    device: str | None = None


def _modality(name: str, raw: object) -> Modality:
    entry: _Entry = decode(_Entry, raw, name)
    names = entry.channels or ()
    if not all(names) or len(set(names)) < len(names) or len(names) > MAX_CHANNELS or TIME in names:
        raise BadDataError(
            f"{name}.channels: expected names, each once, {MAX_CHANNELS} at most, none called {TIME}"
        )
    units = ("",) * len(names) if entry.units is None else entry.units
    ranges = (None,) * len(names) if entry.ranges is None else entry.ranges
    if not len(units) == len(ranges) == len(names):
        raise BadDataError(f"{name}: expected as many units and ranges as channels")
    if any(len(text) > _NAME for text in (*names, *units)):
        raise BadDataError(f"{name}: expected names and units of at most {_NAME} characters")
    rows = zip(names, units, ranges, strict=True)
    channels = tuple(Channel(one, unit, *_range(f"{name}.ranges", bounds)) for one, unit, bounds in rows)
    modality = Modality(name, entry.kind or "", entry.rate or 0.0, channels, entry.device)
    try:
        kind_of(modality)
    except SpecError as error:
        raise BadDataError(f"{name}: {error}") from error
    return modality


def _range(field: str, bounds: tuple[float | None, ...] | None) -> tuple[float, float]:
    match (None, None) if bounds is None else bounds:
        case (low, high):
            least, most = -math.inf if low is None else low, math.inf if high is None else high
            if least < most:
                return least, most
    raise BadDataError(f"{field}: expected pairs of the least and the greatest value, null for none")
