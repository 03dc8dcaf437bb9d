"""The folder of a device's corrections: one private file a sensor, beside the bundle.

A file is a SHA-256 and safetensors. It holds the fingerprint of its bundle, and is of no use to another one.
A file that cannot be used is set aside, and its sensor learns anew.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
from safetensors.numpy import load, save
from sensemble_sensors import durable

from sensemble_runtime.adapting.correction import Sums, fit
from sensemble_runtime.adapting.learner import Learner, Trial
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.files import regular
from sensemble_runtime.bundle.judge import of_subset
from sensemble_runtime.bundle.strict_json import decode, document
from sensemble_runtime.errors import AdaptError

SCHEMA = 3
SENSORS = 32
"""Files kept; the one written longest ago makes room."""
_SUFFIX, _BAD = ".learned", ".learned.bad"
_SUMS = ("mean", "target", "scatter", "cross")
_DIGEST = hashlib.sha256().digest_size
_LARGEST = 1 << 30  # bytes

Sensor = tuple[str, str]
"""A modality, and the name of a sensor."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The part of a file that is no array; `bundle` is its fingerprint, `weight` that of the sums."""

    schema: int
    bundle: str
    modality: str
    sensor: str
    weight: float
    windows: int
    used: bool
    trial: Trial


class Store:
    """The folder, made private to this user if it is not there, and locked for one process."""

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

    def load(self) -> tuple[dict[Sensor, Learner], list[str]]:
        """Return the learner of each sensor, and a line on each file that was set aside."""
        learners, problems = {}, []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                sensor, learner = self._read(path)
                learners[sensor] = learner
            except (OSError, ValueError) as error:
                bad = path.with_suffix(_BAD)
                with suppress(OSError):
                    path.replace(bad)
                problems.append(f"{path}: {error}; set aside as {bad.name}, its sensor learns anew")
        return learners, problems

    def save(self, sensor: Sensor, learner: Learner) -> None:
        """Write a sensor's file, whole or not at all.

        Raises:
            AdaptError: the disk is full, or cannot be written.
        """
        sums, known = learner.sums, (SCHEMA, self._bundle.fingerprint, *sensor)
        header = _Header(*known, sums.weight, learner.windows, learner.used, learner.trial)
        tensors = {name: np.ascontiguousarray(getattr(sums, name)) for name in _SUMS}
        tensors |= {"taught": learner.taught}
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
        """Forget a sensor by its name, or all; return the names. An unreadable file goes by its own name."""
        forgotten = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}*")):
            try:
                name = self._read(path)[0][1]
            except (OSError, ValueError):
                name = path.name
            if sensor in (None, name):
                path.unlink(missing_ok=True)
                forgotten.append(name)
        return forgotten

    def _read(self, path: Path) -> tuple[Sensor, Learner]:
        """Read a file; raise an `OSError` or a `ValueError` that says why it cannot be used."""
        with regular(path) as file:
            digest, data = file.read(_DIGEST), file.read(_LARGEST)
        if hashlib.sha256(data).digest() != digest:
            raise ValueError("damaged")
        tensors = load(data)
        raw = document(tensors.pop("header").tobytes().decode())
        match raw:
            case {"schema": int(schema), "bundle": str(bundle)} if schema == SCHEMA:
                if bundle != self._bundle.fingerprint:
                    raise ValueError("learned with another bundle")
            case _:
                raise ValueError("of another version")
        header: _Header = decode(_Header, raw)
        sensor = header.modality, header.sensor
        learner = Learner.new(
            self._bundle.head, of_subset(self._bundle.manifest.calibration, (header.modality,))
        )
        learner.sums = Sums(header.weight, *(tensors[name] for name in _SUMS))
        learner.taught, learner.trial = tensors["taught"], header.trial
        learner.used, learner.windows = header.used, header.windows
        learner.correction = fit(learner.sums, learner.head, learner.inverse)
        return sensor, learner

    def _make_room(self) -> None:
        ages = sorted((path.stat().st_mtime, path) for path in self.folder.glob(f"*{_SUFFIX}*"))
        for _, path in ages[: max(0, len(ages) - SENSORS)]:
            with suppress(OSError):
                path.unlink()


def default_folder(bundle: Path) -> Path:
    """Return the folder of a bundle's corrections: next to it, because its own must not change."""
    whole = bundle.resolve()
    return whole.with_name(f"{whole.name}.learned")


def _name(sensor: Sensor) -> str:
    modality, name = sensor
    return f"{modality}-{hashlib.sha256(json.dumps(name).encode()).hexdigest()[:16]}{_SUFFIX}"
