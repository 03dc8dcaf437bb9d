"""The folder of what a device has learned of its sensors: one private file a sensor, beside the bundle.

A file belongs to one bundle, whose fingerprint it holds: to another one, the numbers in it mean nothing.
"""

import hashlib
import json
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sensemble_sensors import durable

from sensemble_runtime.adapting.correction import fit
from sensemble_runtime.adapting.evidence import FRACTIONS
from sensemble_runtime.adapting.guard import SHOWN, Outcome, State
from sensemble_runtime.adapting.pupil import Pupil
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.files import regular
from sensemble_runtime.bundle.judge import of_subset
from sensemble_runtime.bundle.strict_json import DecodeError, decode, document
from sensemble_runtime.errors import AdaptError

SCHEMA = 1
SENSORS = 32
"""Sensors that are kept; the one that learned longest ago makes room."""
_SUFFIX, _LOCK = ".learned", "lock"
_SUMS = ("mean", "target", "scatter", "cross")
_WEALTH = ("better", "worse", "corroborated", "contradicted", "agreeing", "disputes")
_REST = 1 << 20  # bytes of a file beside its sums, at most

Sensor = tuple[str, str]
"""A modality, and the name of a sensor."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The part of a file that is no array.

    Attributes:
        schema: the version of this format, `SCHEMA`.
        bundle: the fingerprint of the bundle.
        modality: of the sensor.
        sensor: its name.
        saved: when it was written, in seconds since 1970.
        weight: of the sums.
        windows: the number of lessons.
        state: of the guard.
        margin: of the guard.
        credible: of the guard.
    """

    schema: int
    bundle: str
    modality: str
    sensor: str
    saved: float
    weight: float
    windows: int
    state: State
    margin: float
    credible: bool


class Store:
    """The folder, locked for one process; a context manager.

    Args:
        folder: made, private to this user, when the first file is written.
        bundle: whose sensors these are.
        days: the age at which a file is removed unread.

    Raises:
        AdaptError: another process has locked it, or it cannot be written.
    """

    def __init__(self, folder: Path, bundle: Bundle, days: float) -> None:
        self.folder, self._bundle, self._days = folder, bundle, days
        try:
            durable.create_folder(folder)
            self._lock: IO[bytes] = durable.lock(folder / _LOCK)
        except BlockingIOError as error:
            raise AdaptError(f"{folder}: in use by another session; end that first") from error
        except OSError as error:
            raise AdaptError(
                f"{folder}: cannot be written ({error.strerror}); name another folder"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unlock the folder; closing twice is allowed."""
        self._lock.close()

    def load(self) -> dict[Sensor, Pupil]:
        """Return what was learned of each sensor; files that are too old are removed.

        Raises:
            AdaptError: a file is of another bundle or version, or damaged; names it.
        """
        found = {}
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            header, pupil = self._read(path)
            if time.time() - header.saved > self._days * 86400:
                path.unlink(missing_ok=True)
            else:
                found[header.modality, header.sensor] = pupil
        return found

    def pack(self, sensor: Sensor, pupil: Pupil) -> bytes:
        """Return the contents of a sensor's file."""
        guard, sums = pupil.guard, pupil.sums
        header = _Header(
            SCHEMA,
            self._bundle.fingerprint,
            *sensor,
            saved=time.time(),
            weight=sums.weight,
            windows=pupil.windows,
            state=guard.state,
            margin=guard.margin,
            credible=guard.credible,
        )
        tensors = {name: getattr(sums, name) for name in _SUMS}
        tensors |= {name: getattr(guard, name).shares for name in _WEALTH}
        tensors["recent"] = np.array([list(asdict(outcome).values()) for outcome in guard.recent]).reshape(
            -1, 4
        )
        tensors |= {"answers": pupil.answers, "taught": pupil.taught}
        tensors["header"] = np.frombuffer(json.dumps(asdict(header)).encode(), np.uint8)
        return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})

    def write(self, sensor: Sensor, packed: bytes) -> None:
        """Write a sensor's file, whole or not at all; from any thread.

        Raises:
            AdaptError: the disk is full, or cannot be written.
        """
        path = self.folder / _name(sensor)
        try:
            durable.write(path, packed, private=True)
            durable.sync_folder(self.folder)
            self._make_room()
        except OSError as error:
            raise AdaptError(
                f"{path}: cannot be written ({error.strerror}); make room on its disk"
            ) from error

    def reset(self, sensor: str | None = None) -> list[str]:
        """Forget a sensor by its name, or all; return the names of those forgotten.

        A file that cannot be read is known by its own name.

        Raises:
            OSError: one cannot be removed.
        """
        gone = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                name = self._read(path)[0].sensor
            except AdaptError:
                name = path.name
            if sensor in (None, name):
                path.unlink(missing_ok=True)
                gone.append(name)
        return gone

    def _read(self, path: Path) -> tuple[_Header, Pupil]:
        classes, d = self._bundle.head.weight.shape
        most = 8 * (d + 1) * (d + classes + 1) + _REST
        try:
            with regular(path) as file:
                data = file.read(most + 1)
            if len(data) > most:
                raise AdaptError(f"{path}: is too large; {_remedy(self._bundle)}")
            tensors = load(data)
            header: _Header = decode(_Header, document(tensors.pop("header").tobytes().decode()))
        except OSError as error:
            raise AdaptError(f"{path}: cannot be read ({error.strerror}); {_remedy(self._bundle)}") from error
        except (SafetensorError, DecodeError, ValueError, KeyError, TypeError) as error:
            raise AdaptError(f"{path}: is damaged ({error}); {_remedy(self._bundle)}") from error
        if header.schema != SCHEMA:
            raise AdaptError(f"{path}: version {header.schema}, not {SCHEMA}; {_remedy(self._bundle)}")
        if header.bundle != self._bundle.fingerprint:
            raise AdaptError(f"{path}: learned with another bundle; {_remedy(self._bundle)}")
        shapes = {"mean": (d,), "target": (classes,), "scatter": (d, d), "cross": (d, classes)}
        shapes |= dict.fromkeys(_WEALTH, (len(FRACTIONS),)) | dict.fromkeys(("answers", "taught"), (classes,))
        shapes["recent"] = (min(len(tensors.get("recent", ())), SHOWN), 4)
        _check(tensors, shapes, path, _remedy(self._bundle))
        return header, self._pupil(header, tensors)

    def _pupil(self, header: _Header, tensors: Mapping[str, NDArray[np.float64]]) -> Pupil:
        alone = of_subset(self._bundle.manifest.calibration, (header.modality,))
        pupil = Pupil.new(self._bundle.head, alone)
        pupil.sums.weight, pupil.windows = header.weight, header.windows
        pupil.answers, pupil.taught = tensors["answers"], tensors["taught"]
        for name in _SUMS:
            setattr(pupil.sums, name, tensors[name])
        guard = pupil.guard
        guard.restart(header.state)
        for name in _WEALTH:
            getattr(guard, name).shares = tensors[name]
        guard.state, guard.margin, guard.credible = header.state, header.margin, header.credible
        pupil.guard.recent = deque((Outcome(*row) for row in tensors["recent"].tolist()), maxlen=SHOWN)
        pupil.correction = fit(pupil.sums, pupil.head)
        return pupil

    def _make_room(self) -> None:
        ages = sorted((path.stat().st_mtime, path) for path in self.folder.glob(f"*{_SUFFIX}"))
        for _, path in ages[: max(0, len(ages) - SENSORS)]:
            with suppress(OSError):
                path.unlink()


def beside(bundle: Path) -> Path:
    """Return the usual folder of what is learned with a bundle: next to it, for its own must not change."""
    whole = bundle.resolve()
    return whole.with_name(f"{whole.name}.learned")


def _name(sensor: Sensor) -> str:
    modality, name = sensor
    return f"{modality}-{hashlib.sha256(name.encode()).hexdigest()[:16]}{_SUFFIX}"


def _remedy(bundle: Bundle) -> str:
    return f"`sensemble adapt {bundle.path} --reset all` begins anew"


def _check(
    tensors: Mapping[str, NDArray[np.float64]], shapes: Mapping[str, tuple[int, ...]], path: Path, remedy: str
) -> None:
    found = {name: (tensor.dtype.name, tensor.shape) for name, tensor in tensors.items()}
    expected = {name: ("float64", shape) for name, shape in shapes.items()}
    if found != expected or not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise AdaptError(f"{path}: is damaged (its arrays are not those of this bundle); {remedy}")
