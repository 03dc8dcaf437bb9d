"""A series whose rows are lines of JSON or CSV that come over TCP, UDP, a pipe or a serial port."""

import os
import stat
from collections.abc import Iterator
from itertools import islice
from time import monotonic

from sensemble_sensors.devices.byte_streams import open_stream
from sensemble_sensors.devices.clock import RowClock
from sensemble_sensors.devices.polled import MAX_LINE, LineSplitter, Played, Polled, StreamSensor
from sensemble_sensors.devices.rows import Row, RowReader
from sensemble_sensors.errors import BadDataError, SensorEndedError, SensorLostError, printable
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_BLOCK = 0.1  # seconds of a sample of a file
_WAITING = 64  # samples that wait for a slow reader
_BAD = 20  # lines in a row that are no rows: it is another format


class LineSeries(StreamSensor):
    """Gives the rows that a program or a microcontroller writes, one a line (`devices.rows`).

    A line that is no row is a lost sample; after twenty in a row the sensor is lost, and the reason quotes
    the last. The first line after opening may be broken: it is left out.

    Args:
        source: as `byte_streams.open_stream` takes it: `tcp://HOST:PORT`, `udp://:PORT`, `pipe:PATH` or
            `serial:/dev/ttyUSB0?baud=115200`.
    """

    def __init__(self, source: str, name: str | None = None, modality: str = "series") -> None:
        self.modality = modality
        self.name = printable(name or f"{modality} {source}")
        self._source = source

    @property
    def live(self) -> bool:
        """True if somebody writes the rows now; those of a file are played."""
        return not os.path.isfile(self._source.removeprefix("pipe:"))  # noqa: PTH113 - an address is no path

    def _opened(self, spec: InputSpec) -> Polled | Played:
        file = open_stream(self._source)
        self._rows = RowReader([channel.name for channel in spec.channels])
        self._clock = RowClock(spec)
        self._begun = False  # whether a whole line came
        self._bad = 0  # lines that were no rows, since the last row
        if stat.S_ISREG(os.fstat(file).st_mode):
            ended = SensorEndedError(f"{self.name}: has ended")
            return Played(self._play(file, spec.rate, monotonic()), ended)
        lines = LineSplitter(self.name, "series")

        def make(data: bytes, now: float) -> Iterator[Sample]:
            rows, lost = self._read_rows(lines.split(data))
            return self._clock.rows(rows, now, lost) if rows else iter(())

        datagrams = self._source.startswith("udp://")
        gone = None if datagrams else SensorLostError(f"{self.name}: the other side hung up")
        queue = SampleQueue(_WAITING, continuous=True)
        return Polled(self.name, file, queue, make, gone, source=self._source)

    def _play(self, file: int, rate: float, origin: float) -> Iterator[Sample]:
        """Yield the rows of a file from its opening on: at their own times, or at a rate."""
        first: float | None = None  # the time of the first row, if it has one
        count = 0
        with os.fdopen(file, "rb") as text:
            lines = iter(lambda: text.readline(MAX_LINE + 1), b"")
            while some := list(islice(lines, max(1, round(_BLOCK * rate)))):
                rows, lost = self._read_rows(some)
                if not rows:
                    continue
                count += len(rows)
                first, last = rows[0].time if first is None else first, rows[-1].time
                after = count / rate if last is None or first is None else last - first
                yield from self._clock.rows(rows, origin + after, lost)

    def _read_rows(self, lines: list[bytes]) -> tuple[list[Row], int]:
        rows: list[Row] = []
        lost = 0
        for line in lines:
            first, self._begun = not self._begun, True
            try:
                row = self._rows.read(line)
            except BadDataError as error:
                if first:
                    continue
                lost, self._bad = lost + 1, self._bad + 1
                if self._bad >= _BAD:
                    raise SensorLostError(f"{self.name}: {error}") from error
                continue
            if row is not None:
                # A row without a time among rows with one would have none to be placed by.
                if rows and (row.time is None) != (rows[-1].time is None):
                    lost += 1
                    continue
                rows.append(row)
                self._bad = 0
        return rows, lost
