"""A series whose rows are lines of JSON or CSV that come over TCP, UDP, a pipe or a serial port."""

import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from time import monotonic

from sensemble_sensors.devices.byte_streams import open_stream
from sensemble_sensors.devices.clock import RowClock
from sensemble_sensors.devices.polled_rows import PolledRows
from sensemble_sensors.devices.rows import MAX_LINE, Row, RowReader
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
    printable,
)
from sensemble_sensors.readable import readable
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_PAUSE = 0.02  # seconds between two polls: rows that come one by one make blocks
_BLOCK = 0.1  # seconds of a sample of a file
_PIECES = 4  # of `MAX_LINE` bytes, that a poll reads at most
_BAD = 20  # lines in a row that are no rows: it is another format


class LineSeries(PolledRows):
    """Gives the rows that a program or a microcontroller writes, one a line (`devices.rows`).

    A line that is no row is a lost sample; after twenty in a row the sensor is lost, and the reason quotes
    the last. The first line after opening may be broken: it is left out.

    Args:
        source: as `byte_streams.open_stream` takes it: `tcp://HOST:PORT`, `udp://:PORT`, `pipe:PATH` or
            `serial:/dev/ttyUSB0?baud=115200`.
        name: of the sensor; by default made of the source.
        modality: of its samples.
    """

    def __init__(self, source: str, name: str | None = None, modality: str = "series") -> None:
        self.modality = modality
        self.name = printable(name or f"{modality} {source}")
        self._source = source

    @property
    def live(self) -> bool:
        """True if somebody writes the rows now; those of a file are played."""
        return not os.path.isfile(self._source.removeprefix("pipe:"))  # noqa: PTH113 - an address is no path

    def open(self, spec: InputSpec) -> None:
        """Open the source; raise SensorUnavailableError, which says why not."""
        self.close()
        try:
            self._file = open_stream(self._source)
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: cannot be opened ({error.strerror or error}); name a source that exists and "
                "may be read"
            ) from error
        self._datagrams = self._source.startswith("udp://")
        self._form = stat.S_IFMT(os.fstat(self._file).st_mode)
        self._reader = RowReader([channel.name for channel in spec.channels])
        self._clock, self._rate = RowClock(spec), spec.rate
        self._began = monotonic()
        self._played = 0  # rows of a file
        self._first: float | None = None  # the time of a file's first row, if it has one
        self._partial = b""
        self._begun = False  # whether a whole line came
        self._bad = 0  # lines that were no rows, since the last row
        self._due = 0.0  # when to poll again
        self._samples = deque()

    def close(self) -> None:
        """Close the source."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _poll(self, file: int) -> None:
        data = b""
        for _ in range(_PIECES):
            try:
                piece = os.read(file, MAX_LINE)
            except BlockingIOError:
                break
            except OSError as error:
                raise SensorLostError(f"{self.name}: cannot be read ({error.strerror})") from error
            ended = not piece and not self._datagrams  # a datagram may be empty
            if ended and not (data or self._partial):
                self._end()
            data += piece + (b"\n" if ended or self._datagrams else b"")
            if ended or not readable(file, 0):
                break
        now = monotonic()
        self._due = now + _PAUSE
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > MAX_LINE:
            raise SensorLostError(f"{self.name}: a line is longer than {MAX_LINE} bytes; is this a series?")
        rows, lost = self._rows(lines)
        if rows and self._form == stat.S_IFREG:
            self._samples.extend(self._play(rows, lost))
        elif rows:
            self._samples.extend(self._clock.rows(rows, now, lost))

    def _play(self, rows: Sequence[Row], lost: int) -> Iterator[Sample]:
        """Yield the rows of a file from its opening on: at their own times, or at the rate of the spec."""
        size = max(1, round(_BLOCK * self._rate))
        for begin in range(0, len(rows), size):
            block = rows[begin : begin + size]
            self._played += len(block)
            first, last = block[0].time, block[-1].time
            if self._first is None:
                self._first = first
            after = self._played / self._rate if last is None or self._first is None else last - self._first
            yield from self._clock.rows(block, self._began + after, lost)
            lost = 0

    def _rows(self, lines: list[bytes]) -> tuple[list[Row], int]:
        rows: list[Row] = []
        lost = 0
        for line in lines:
            first, self._begun = not self._begun, True
            try:
                row = self._reader.read(line)
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

    def _end(self) -> None:
        if self._form == stat.S_IFREG:
            raise SensorEndedError(f"{self.name}: has ended")
        raise SensorLostError(f"{self.name}: the other side hung up")
