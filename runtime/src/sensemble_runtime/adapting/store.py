"""The folder of what a device has learned of its sensors: one private file a sensor, beside the bundle.

A file is a SHA-256, then the safetensors that it is of. It belongs to one bundle, whose fingerprint it holds:
to another one, the numbers in it mean nothing. A file that cannot be used is set aside, and learned anew.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from sensemble_sensors import durable

from sensemble_runtime.adapting.correction import Sums, fit
from sensemble_runtime.adapting.pupil import Pupil, Trial
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.files import regular
from sensemble_runtime.bundle.judge import of_subset
from sensemble_runtime.bundle.strict_json import decode, document
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.executors.executor import LARGEST

SCHEMA = 2
SENSORS = 32
"""Sensors that are kept; the one that learned longest ago makes room."""
_SUFFIX, _ASIDE = ".learned", ".learned.bad"
_SUMS = ("mean", "target", "scatter", "cross")
_DIGEST = hashlib.sha256().digest_size
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
        weight: of the sums.
        windows: the number of lessons.
        used: whether the correction is in use.
        trial: its test.
    """

    schema: int
    bundle: str
    modality: str
    sensor: str
    weight: float
    windows: int
    used: bool
    trial: Trial


class Store:
    """The folder, made private to this user and locked for one process.

    Args:
        folder: made if it is not there.
        bundle: whose sensors these are.

    Raises:
        AdaptError: another process has locked it, or it cannot be written.
    """

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder, self._bundle = folder, bundle
        try:
            durable.create_folder(folder)
            durable.create(folder / "lock")
            self._lock: IO[bytes] = durable.lock(folder / "lock")
        except BlockingIOError as error:
            raise AdaptError(f"{folder}: in use by another session; end that first") from error
        except OSError as error:
            raise AdaptError(
                f"{folder}: cannot be written ({error.strerror}); name another folder"
            ) from error

    def close(self) -> None:
        """Unlock the folder; closing twice is allowed."""
        self._lock.close()

    def load(self) -> tuple[dict[Sensor, Pupil], list[str]]:
        """Return what was learned of each sensor, and a line on each file that was set aside."""
        pupils, problems = {}, []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                sensor, pupil = self._read(path)
                pupils[sensor] = pupil
            except (OSError, ValueError) as error:
                aside = path.with_suffix(_ASIDE)
                with suppress(OSError):
                    path.replace(aside)
                problems.append(f"{path}: {error}; set aside as {aside.name}, its sensor learns anew")
        return pupils, problems

    def save(self, sensor: Sensor, pupil: Pupil) -> None:
        """Write a sensor's file, whole or not at all.

        Raises:
            AdaptError: the disk is full, or cannot be written.
        """
        sums, known = pupil.sums, (SCHEMA, self._bundle.fingerprint, *sensor)
        header = _Header(*known, sums.weight, pupil.windows, pupil.used, pupil.trial)
        tensors = {name: np.ascontiguousarray(getattr(sums, name)) for name in _SUMS}
        tensors |= {"taught": pupil.taught}
        packed = save(tensors | {"header": np.frombuffer(json.dumps(asdict(header)).encode(), np.uint8)})
        path = self.folder / _name(sensor)
        try:
            durable.write(path, hashlib.sha256(packed).digest() + packed, private=True)
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
        for path in sorted(self.folder.glob(f"*{_SUFFIX}*")):
            try:
                name = self._read(path)[0][1]
            except (OSError, ValueError):
                name = path.name
            if sensor in (None, name):
                path.unlink(missing_ok=True)
                gone.append(name)
        return gone

    def _read(self, path: Path) -> tuple[Sensor, Pupil]:
        """Return the sensor and the pupil of a file.

        Raises:
            OSError, ValueError: it cannot be read, or not be used; says why.
        """
        head = self._bundle.head
        classes, d = head.weight.shape
        most = 8 * (d + 1) * (d + classes + 1) + _REST
        with regular(path) as file:
            digest, data = file.read(_DIGEST), file.read(most)
        if hashlib.sha256(data).digest() != digest:
            raise ValueError("damaged")
        try:
            tensors = load(data)
            raw = document(tensors.pop("header").tobytes().decode())
        except (SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"damaged ({error})") from error
        match raw:
            case {"schema": int(schema), "bundle": str(bundle)} if schema == SCHEMA:
                if bundle != self._bundle.fingerprint:
                    raise ValueError("learned with another bundle")
            case _:
                raise ValueError("of another version")
        header: _Header = decode(_Header, raw)
        sensor = header.modality, header.sensor
        shapes = {"mean": (d,), "target": (classes,), "scatter": (d, d), "cross": (d, classes)}
        _check(tensors, shapes | {"taught": (classes,)})
        if not header.weight >= 0 or path.name != _name(sensor) or header.modality not in self._bundle.specs:
            raise ValueError("damaged (its header is not that of this file)")
        pupil = Pupil.new(head, of_subset(self._bundle.manifest.calibration, (header.modality,)))
        pupil.sums = Sums(header.weight, *(tensors[name] for name in _SUMS))
        pupil.taught, pupil.trial = tensors["taught"], header.trial
        pupil.used, pupil.windows = header.used, header.windows
        pupil.correction = fit(pupil.sums, head, pupil.inverse)
        return sensor, pupil

    def _make_room(self) -> None:
        ages = sorted((path.stat().st_mtime, path) for path in self.folder.glob(f"*{_SUFFIX}*"))
        for _, path in ages[: max(0, len(ages) - SENSORS)]:
            with suppress(OSError):
                path.unlink()


def beside(bundle: Path) -> Path:
    """Return the usual folder of what is learned with a bundle: next to it, for its own must not change."""
    whole = bundle.resolve()
    return whole.with_name(f"{whole.name}.learned")


def _name(sensor: Sensor) -> str:
    modality, name = sensor
    return f"{modality}-{hashlib.sha256(json.dumps(name).encode()).hexdigest()[:16]}{_SUFFIX}"


def _check(tensors: dict[str, NDArray[np.float64]], shapes: dict[str, tuple[int, ...]]) -> None:
    found = {name: (tensor.dtype.name, tensor.shape) for name, tensor in tensors.items()}
    bounded = all(bool((np.abs(tensor) <= LARGEST**2).all()) for tensor in tensors.values())
    if found != {name: ("float64", shape) for name, shape in shapes.items()} or not bounded:
        raise ValueError("damaged (its arrays are not those of this bundle)")
