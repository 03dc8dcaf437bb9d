"""Inertial and other sensors of Linux's Industrial I/O: a device's buffer, read from its character device.

The files and the form of a scan are those of the kernel's documentation (driver-api/iio/buffers).
"""

import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.devices.polled import Polled, PolledSensor
from sensemble_sensors.devices.source_clock import RowClock
from sensemble_sensors.devices.units import per_unit, quantity
from sensemble_sensors.errors import BadDataError, SensorLostError, SensorUnavailableError, printable
from sensemble_sensors.kinds.resampling import Rows
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import HIGHEST_RATE, InputSpec

SYSFS, NODES = "/sys/bus/iio/devices", "/dev"
_WATERMARK = 0.02  # seconds of scans that the kernel gathers before it wakes a reader
_BUFFERED = 2.0  # seconds of scans that the kernel keeps for a slow reader
_TYPE = re.compile(r"(be|le):([su])(\d{1,3})/(\d{1,3})>>(\d{1,3})", re.ASCII)
_MOST = 1 << 12  # bytes of a file of the kernel's, a page
_LARGEST = 1e12  # of a scale or an offset
_SLOWEST = 1e-3  # Hz


class _Element(NamedTuple):
    """A number of a scan, as `scan_elements/in_*_type` describes it."""

    name: str  # `accel_x`
    place: int
    order: str
    signed: bool
    bits: int
    bytes: int
    shift: int

    def column(self, scans: NDArray[np.void]) -> NDArray[np.float64]:
        raw = scans[self.name].astype(np.int64 if self.signed else np.uint64) >> self.shift
        if self.bits < 8 * self.bytes:
            raw = raw & ((1 << self.bits) - 1)
            if self.signed:
                raw = raw - ((raw >> (self.bits - 1)) << self.bits)
        return raw.astype(np.float64)


class Iio(PolledSensor):
    """Gives a device's channels, scaled to the units of the spec and at its rate.

    A channel of the spec is found by its name: `accel_x`, `in_accel_x`, `ax`, `anglvel_z`, `gz`, `temp`.
    Accelerations are in m/s^2 or g, turns in rad/s or deg/s, magnetic fields in gauss or uT, as the spec's
    unit says.

    Args:
        source: the device's number, or the name that it gives itself (`lsm6ds3_accel`).
        sysfs: the folder of `iio:device0`.
        nodes: the folder of the character devices.
    """

    def __init__(
        self,
        source: str,
        name: str | None = None,
        modality: str = "series",
        sysfs: str = SYSFS,
        nodes: str = NODES,
    ) -> None:
        self.modality = modality
        self.name = printable(name or f"{modality} iio:{source}")
        self._source, self._sysfs, self._nodes = source, Path(sysfs), Path(nodes)
        self._folder = self._sysfs

    def open(self, spec: InputSpec) -> None:
        """Start the device's buffer; raise SensorUnavailableError, which says what to do."""
        self.close()
        self._folder = self._found()
        try:
            self._start(spec)
            node = self._nodes / self._folder.name
            file = os.open(node, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            with suppress(OSError):  # it may have been started
                self._write("buffer/enable", 0)
            raise SensorUnavailableError(
                f"{self.name}: cannot be started ({error.strerror}: {error.filename}); run as a user who may "
                f"write {self._folder}, and give the device a trigger if it needs one"
            ) from error
        self._clock = RowClock(spec)
        self._partial = b""
        self._scans = 0  # so far
        gone = SensorLostError(f"{self.name}: is gone")
        queue = SampleQueue(self._clock.most, continuous=True, rows=True)
        self._stream = Polled(self.name, file, queue, self._make, gone)

    def close(self) -> None:
        """Stop the buffer, so that the device rests."""
        if self._stream is not None:
            super().close()
            with suppress(OSError):  # unplugged
                self._write("buffer/enable", 0)

    def _found(self) -> Path:
        folders = sorted(self._sysfs.glob("iio:device*"))
        for folder in folders:
            if self._source in {folder.name.removeprefix("iio:device"), _text(folder / "name")}:
                return folder
        names = {folder.name.removeprefix("iio:device"): _text(folder / "name") for folder in folders}
        there = ", ".join(f"{number} ({name:.60})" for number, name in names.items())
        raise SensorUnavailableError(f"{self.name}: no such device; there are {there or 'none'}")

    def _start(self, spec: InputSpec) -> None:
        with suppress(OSError):  # it does not run
            self._write("buffer/enable", 0)
        files = self._folder.glob("scan_elements/in_*_type")
        paths = {path.name.removeprefix("in_").removesuffix("_type"): path for path in sorted(files)}
        wanted = [quantity(channel.name) for channel in spec.channels]
        missing = next((name for name in wanted if name not in paths), None)
        if missing is not None:
            there = ", ".join(sorted(paths.keys() - {"timestamp"})) or "none"
            raise SensorUnavailableError(
                f"{self.name}: has no channel {missing}; it has {there}: name the bundle's channels so, or "
                "another device"
            )
        elements = {name: _element(name, paths[name]) for name in {*wanted}}
        used = sorted(elements.values(), key=lambda e: e.place)
        if len({element.place for element in used}) < len(used):
            raise SensorUnavailableError(
                f"{self.name}: two channels have the same index in {self._folder}/scan_elements; its driver "
                "may be broken: name another device"
            )
        for name in paths:
            self._write(f"scan_elements/in_{name}_en", int(name in wanted))
        self._rate = self._sampled(spec.rate)
        self._elements = [elements[name] for name in wanted]
        self._scan = _layout(used)
        units = [per_unit(channel.unit) for channel in spec.channels]
        self._offset = np.array([self._number(name, "offset", 0.0) for name in wanted])
        self._scale = np.array([self._number(name, "scale", 1.0) for name in wanted]) * units
        self._write("buffer/length", max(16, round(_BUFFERED * self._rate)))
        if (self._folder / "buffer/watermark").exists():
            self._write("buffer/watermark", max(1, round(_WATERMARK * self._rate)))
        self._write("buffer/enable", 1)

    def _sampled(self, rate: float) -> float:
        """Ask for a rate (Hz), and return the one that the device has: it may have few to choose from."""
        files = sorted(self._folder.glob("*sampling_frequency"))
        for file in files:
            with suppress(OSError):  # the driver refuses other rates than its own, or any
                words = _text(Path(f"{file}_available")).split()
                offered = {each: word for word in words if (each := _rate(word))}
                wanted = min((each for each in offered if each >= rate), default=max(offered, default=rate))
                self._write(file.name, offered.get(wanted, f"{rate:g}"))
        return next((each for file in files if (each := _rate(_text(file)))), rate)

    def _number(self, name: str, what: str, usual: float) -> float:
        """Return a scale or an offset, of a channel or of all channels that measure the same."""
        shared = name.rpartition("_")[0]
        for path in (self._folder / f"in_{each}_{what}" for each in (name, shared)):
            if text := _text(path):
                value = _number(text)
                if not (abs(value) <= _LARGEST and (value or what == "offset")):
                    raise SensorUnavailableError(
                        f"{self.name}: {path}: {text!r:.60} is not the {what} of a channel; its driver may "
                        f"be broken: leave {name} out"
                    )
                return value
        return usual

    def _write(self, file: str, value: int | str) -> None:
        path = self._folder / file
        if _text(path) != f"{value}":
            opened = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK)
            try:
                os.write(opened, f"{value}".encode())
            finally:
                os.close(opened)

    def _make(self, data: bytes, now: float) -> Iterator[Sample]:
        data = self._partial + data
        count = len(data) // self._scan.itemsize
        self._partial = data[count * self._scan.itemsize :]
        if not count:
            return
        scans = np.frombuffer(data, self._scan, count)
        raw = np.stack([element.column(scans) for element in self._elements], axis=1)
        rows: Rows = ((raw + self._offset) * self._scale).astype(np.float32)
        times = (self._scans + np.arange(count)) / self._rate
        self._scans += count
        try:
            yield from self._clock.timed(times, rows, now)
        except BadDataError as error:
            raise SensorLostError(
                f"{self.name}: its rows do not come at the {self._rate:g} Hz that it states; give it another "
                "trigger, or name another device"
            ) from error


def _element(name: str, path: Path) -> _Element:
    text, place = _text(path), _text(path.with_name(f"in_{name}_index"))
    form = _TYPE.fullmatch(text)
    if form is not None and place.isdecimal() and len(place) < 5:
        order, sign, *rest = form.groups()
        bits, stored, shift = map(int, rest)
        if 1 <= bits <= stored - shift and stored in {8, 16, 32, 64}:
            order, signed = {"be": ">", "le": "<"}[order], sign == "s"
            return _Element(name, int(place), order, signed, bits, stored // 8, shift)
    raise SensorUnavailableError(
        f"{path}: {text!r:.60} at index {place!r:.20} is not a scan element of 8, 16, 32 or 64 bits, such as "
        f"le:s12/16>>4; leave {name} out"
    )


def _layout(elements: list[_Element]) -> np.dtype[np.void]:
    """Return the form of a scan: an element lies at a multiple of its size, a scan at one of the largest."""
    offsets, end = [], 0
    for element in elements:
        end += -end % element.bytes
        offsets.append(end)
        end += element.bytes
    formats = [f"{e.order}{'i' if e.signed else 'u'}{e.bytes}" for e in elements]
    end += -end % max(element.bytes for element in elements)
    names = [element.name for element in elements]
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": end})


def _text(path: Path) -> str:
    """Return the text of a file of the kernel's, "" if it has none."""
    with suppress(OSError):
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(file, _MOST).decode(errors="replace").strip()
        finally:
            os.close(file)
    return ""


def _number(text: str) -> float:
    with suppress(ValueError):
        return float(text)
    return math.nan


def _rate(text: str) -> float | None:
    """Return a rate (Hz) that a device can have, None for any other text."""
    return rate if _SLOWEST <= (rate := _number(text)) <= HIGHEST_RATE else None
