"""A series whose rows are lines of JSON or CSV that come over TCP, UDP, a pipe or a serial port."""

import math
import os
import stat
from collections.abc import Collection, Iterator
from itertools import islice

from sensemble_sensors.clock import REAL, Clock
from sensemble_sensors.devices.byte_streams import Datagrams, open_stream
from sensemble_sensors.devices.polled import MAX_LINE, LineSplitter, Played, Polled, StreamSensor
from sensemble_sensors.devices.rows import Row, RowParser
from sensemble_sensors.devices.source_clock import RowClock
from sensemble_sensors.errors import BadDataError, SensorEndedError, SensorLostError, printable
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_BLOCK = 0.1  # seconds of a sample of a file
_BAD = 20  # consecutive lines that are not rows: the format is another one


class LineSeries(StreamSensor):
    """Gives the rows that a program or a microcontroller writes, one a line (`devices.rows`).

    A line that is no row is a lost sample. The sensor is lost, with a reason that quotes the last one, after
    twenty in a row; before the first row of a stream, not within the first seconds, for a microcontroller
    begins with what it says of its start. Anybody may send datagrams: of these, the first seconds must bring
    a row.

    Args:
        source: `udp://HOST:PORT?from=SENDERS` (`byte_streams.Datagrams`), or as `byte_streams.open_stream`
            takes it: `tcp://HOST:PORT`, `pipe:PATH` or `serial:/dev/ttyUSB0?baud=115200`.
        clock: of the times at which rows come.
    """

    def __init__(
        self, source: str, name: str | None = None, modality: str = "series", clock: Clock = REAL
    ) -> None:
        self.modality, self._own = modality, clock
        self.name = printable(name or f"{modality} {source}")
        self._source = source
        self._datagrams = source.startswith("udp://")
        if self._datagrams:
            self._remedy = "name the sender by udp://HOST:PORT?from=ADDRESS, and a free port"

    @property
    def pushed(self) -> bool:
        """See `Sensor`."""
        return self._datagrams

    @property
    def played(self) -> bool:
        """False if somebody writes the rows now; those of a file are played."""
        return os.path.isfile(self._source.removeprefix("pipe:"))  # noqa: PTH113 - an address is no path

    def _opened(self, spec: InputSpec) -> Polled | Played:
        self._rows = RowParser([channel.name for channel in spec.channels])
        self._clock = RowClock(spec)
        self._lost = 0  # lines that were not rows, since the last sample
        self._bad = 0  # the same, since the last row
        self._most = math.inf  # such lines in a row lose the sensor
        self._since: float | None = None  # when the first line came that was not a row; infinite after a row
        queue = SampleQueue(self._clock.most, continuous=True, rows=True)
        if self._datagrams:
            datagrams = Datagrams(self._source)

            def take(data: bytes, now: float) -> Iterator[Sample]:
                yield from self._samples(data.split(b"\n"), now)
                self._check(now, datagrams.strangers)

            return Polled(
                self.name, datagrams.file, queue, take, None, receive=datagrams.receive, clock=self._own
            )
        file = open_stream(self._source)
        if stat.S_ISREG(os.fstat(file).st_mode):
            self._most = _BAD
            ended = SensorEndedError(f"{self.name}: has ended")
            return Played(self._play(file, spec.rate, self._own.now()), ended, self._own)
        lines = LineSplitter(self.name, "series")
        gone = SensorLostError(f"{self.name}: the other side hung up")

        def make(data: bytes, now: float) -> Iterator[Sample]:  # without data at the end
            yield from self._samples(lines.split(data), now)
            self._check(now, ended=not data)

        return Polled(self.name, file, queue, make, gone, source=self._source, clock=self._own)

    def _samples(self, lines: list[bytes], now: float) -> Iterator[Sample]:
        rows = self._read_rows(lines)
        if rows:
            lost, self._lost = self._lost, 0
            try:
                # A line that is not a row belongs to another program, so it leaves no hole.
                yield from self._clock.rows(rows, now, lost, cut=lost > 0 and not self._datagrams)
            except BadDataError as error:
                raise SensorLostError(f"{self.name}: {error}") from error

    def _play(self, file: int, rate: float, origin: float) -> Iterator[Sample]:
        """Yield the rows of a file from its opening on: at their own times, or at a rate."""
        first: float | None = None  # the time of the first row, if it has one
        count = 0
        with os.fdopen(file, "rb") as text:
            lines = iter(lambda: text.readline(MAX_LINE + 1), b"")
            while some := list(islice(lines, max(1, round(_BLOCK * rate)))):
                try:
                    rows = self._read_rows(some)
                    if not rows:
                        continue
                    count += len(rows)
                    first, last = rows[0].time if first is None else first, rows[-1].time
                    after = count / rate if last is None or first is None else last - first
                    lost, self._lost = self._lost, 0
                    yield from self._clock.rows(rows, origin + after, lost, cut=lost > 0)
                except (BadDataError, SensorLostError) as error:
                    # Ended, not lost: a lost sensor is reopened, and would start again.
                    raise SensorEndedError(f"{self.name}: {error}") from error

    def _read_rows(self, lines: list[bytes]) -> list[Row]:
        rows: list[Row] = []
        for line in lines:
            try:
                row = self._rows.parse(line)
            except BadDataError as error:
                self._lost, self._bad, self._refused = self._lost + 1, self._bad + 1, str(error)
                if self._bad >= self._most:
                    raise SensorLostError(f"{self.name}: {error}") from error
                continue
            if row is not None:
                # A row without a time among rows with one would have none to be placed by.
                if rows and (row.time is None) != (rows[-1].time is None):
                    self._lost += 1
                    continue
                rows.append(row)
                self._bad, self._since = 0, math.inf
                self._most = math.inf if self._datagrams else _BAD
        return rows

    def _check(self, now: float, strangers: Collection[str] = (), *, ended: bool = False) -> None:
        """Raise SensorLostError if the first seconds bring lines but no row, or only strangers' datagrams."""
        self._since = now if self._since is None else self._since
        if self._since == math.inf or (not ended and now - self._since < self._clock.patience):
            return
        if self._bad >= (1 if self._datagrams or ended else _BAD):
            raise SensorLostError(f"{self.name}: none of its {self._bad} lines is a row: {self._refused}")
        if strangers:
            raise SensorLostError(
                f"{self.name}: datagrams come only from {', '.join(strangers)}; name their sender "
                "by ?from=ADDRESS"
            )
