"""Reading sensors, finding ports and installing packages for the tests of devices."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import SensorEndedError, SensorsError
from sensemble_sensors.sensor import Sample, Sensor

from tests.waiting import PATIENCE


def rows_of(sensor: Sensor, count: int) -> NDArray[np.float32]:
    """Read a series until there are `count` rows."""
    blocks: list[NDArray[np.float32]] = []
    until = monotonic() + PATIENCE
    while sum(map(len, blocks)) < count:
        assert monotonic() < until, f"only {blocks}"
        if sample := sensor.read(0.2):
            assert sample.modality == sensor.modality
            assert sample.time <= monotonic()
            assert isinstance(sample.data, np.ndarray)
            assert sample.data.dtype == np.float32
            blocks.append(sample.data.astype(np.float32, copy=False))
    return np.concatenate(blocks)


def read_on(sensor: Sensor, send: Callable[[], object] = lambda: None) -> tuple[list[Sample], SensorsError]:
    """Send and read until a sensor fails or ends; return what came, and what was raised."""
    taken: list[Sample] = []
    until = monotonic() + PATIENCE
    while monotonic() < until:
        send()
        try:
            sample = sensor.read(0.02)
        except SensorsError as error:
            return taken, error
        taken += [sample] if sample is not None else []
    raise AssertionError("it never ended")


def read_all(sensor: Sensor) -> list[Sample]:
    """Read a source that ends."""
    taken, error = read_on(sensor)
    assert isinstance(error, SensorEndedError)
    return taken


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a free port below the range from which the system gives ports to other processes."""
    first = 10_000 + 37 * os.getpid() % 20_000  # each process of the tests begins elsewhere
    for port in range(first, 1 << 15):
        with suppress(OSError), socket.socket(socket.AF_INET, kind) as free:
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def install(folder: Path, name: str, entries: str, module: str) -> None:
    """Install a package of one module with its entry points into a folder, as pip would."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)
    (folder / f"{name}.py").write_text(module)
