"""Read and write `modalities.json` beside an index: the modalities of which a name alone does not say all.

    {"imu": {"kind": "series", "rate": 10, "channels": ["ax", "ay"], "units": ["m/s^2", "m/s^2"],
             "ranges": [[-20, 20], null]},
     "thermal": {"kind": "frames", "channels": ["temperature"], "ranges": [[27315, 32315]]}}

`kind` may be left out where the name implies it; the rest is for series, and for frames of one channel.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sensemble_sensors import durable
from sensemble_sensors.errors import BadDataError, SpecError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.lines import MAX_LINE, Fields, opened
from sensemble_sensors.spec import HIGHEST_RATE, MAX_CHANNELS, Channel, Modality

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
            f"{folder / FILE_NAME}: {other} is already declared, with another kind, rate or channels; name "
            "another folder, or another modality"
        )
    entries = {name: _entry(modality) for name, modality in sorted((known | dict(modalities)).items())}
    text = json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    durable.write(folder / FILE_NAME, text.encode(), private=True)


def _entry(modality: Modality) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": modality.kind}
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


def _modality(name: str, entry: object) -> Modality:
    if not isinstance(entry, dict):
        raise BadDataError(f"{name}: must be an object")
    fields: dict[str, Any] = entry
    if unknown := fields.keys() - {"kind", "rate", "channels", "units", "ranges"}:
        raise BadDataError(
            f"{name}.{min(unknown)!s:.80}: unknown field; there are kind, rate, channels, units, ranges"
        )
    kind, rate = fields.get("kind", ""), fields.get("rate", 0.0)
    if not isinstance(kind, str):
        raise BadDataError(f"{name}.kind: must be the name of a kind")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= HIGHEST_RATE:
        raise BadDataError(f"{name}.rate: must be a number of samples a second up to {HIGHEST_RATE:g}")
    names = _texts(f"{name}.channels", fields.get("channels", []))
    if not all(names) or len(set(names)) < len(names):
        raise BadDataError(f"{name}.channels: must be names, each once")
    units = _texts(f"{name}.units", fields.get("units", [""] * len(names)))
    ranges = fields.get("ranges", [None] * len(names))
    if not isinstance(ranges, list) or not len(units) == len(ranges) == len(names):
        raise BadDataError(f"{name}: must have as many units and ranges as channels")
    bounds = [_range(f"{name}.ranges", one) for one in ranges]
    rows = zip(names, units, bounds, strict=True)
    channels = tuple(Channel(channel, unit, *both) for channel, unit, both in rows)
    modality = Modality(name, kind, float(rate), channels)
    kind_of(modality)
    return modality


def _texts(field: str, values: object) -> list[str]:
    good = isinstance(values, list) and len(values) <= MAX_CHANNELS
    if not isinstance(values, list) or not good:
        raise BadDataError(f"{field}: must be a list of at most {MAX_CHANNELS} texts")
    if not all(isinstance(one, str) and one.isprintable() and len(one) <= _NAME for one in values):
        raise BadDataError(f"{field}: must be printable texts of at most {_NAME} characters")
    return values


def _range(field: str, value: object) -> tuple[float, float]:
    bounds = [None, None] if value is None else value
    if isinstance(bounds, list) and len(bounds) == 2:
        low, high = (
            default if bound is None else bound
            for bound, default in zip(bounds, (-math.inf, math.inf), strict=True)
        )
        if type(low) in (int, float) and type(high) in (int, float) and low < high:
            return float(low), float(high)
    raise BadDataError(f"{field}: must be pairs of the least and the greatest value, null for none")
