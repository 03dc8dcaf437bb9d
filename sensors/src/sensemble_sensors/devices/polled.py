"""Read a source: `Polled` a descriptor, when asked; `Played` a file, at its times."""

import math
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from sensemble_sensors.clock import REAL, Clock, sleep
from sensemble_sensors.errors import SensorLostError, SensorsError, SensorUnavailableError
from sensemble_sensors.polling import readable
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

MAX_LINE = 1 << 16  # bytes of a line
_PAUSE = 0.02  # seconds between two polls: what comes bit by bit makes blocks, and a flood costs little
_READS, _PIECE, _MOST = 64, 1 << 16, 1 << 18  # reads of a poll, bytes of each and of all, at most


class Polled:
    """Gives the samples that are made of the bytes of a descriptor; a slow reader gets the newest.

    Args:
        file: the descriptor, which is closed in the end if it is `owned`.
        make: called with the bytes of a poll and the time at which they were read; with b"" at the end.
        ended: the error after the last sample; None for datagrams, each of which ends a line.
        source: as `byte_streams.open_stream` took it; a named pipe is lost when it is removed.
        pause: seconds between two polls.
        receive: returns what a descriptor that is ready has; by default its bytes.
        clock: tells when to poll, and the time of a poll.
    """

    def __init__(
        self,
        name: str,
        file: int,
        queue: SampleQueue,
        make: Callable[[bytes, float], Iterable[Sample]],
        ended: SensorsError | None,
        *,
        owned: bool = True,
        source: str = "",
        pause: float = _PAUSE,
        receive: Callable[[], bytes] | None = None,
        clock: Clock = REAL,
    ) -> None:
        self._own = clock
        self._receive = receive or partial(os.read, file, _PIECE)
        self._name, self._file, self._queue, self._make, self._ended = name, file, queue, make, ended
        is_pipe = owned and source != "" and stat.S_ISFIFO(os.fstat(file).st_mode)
        self._owned, self._pipe = owned, Path(source.removeprefix("pipe:")) if is_pipe else None
        self._pause = pause
        self._due = 0.0  # when to poll again; infinite at the end

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`."""
        until = self._own.now() + timeout
        while True:
            if self._own.now() >= self._due:
                self._poll()
            sample = self._queue.get(0)
            if sample is not None:
                return sample
            left = until - self._own.now()
            if left <= 0:
                self._check_pipe()
                return None
            if readable(self._file, left):
                sleep(self._own, min(self._due, until) - self._own.now())

    def _poll(self) -> None:
        data, over = b"", False
        for _ in range(_READS):
            if over or len(data) >= _MOST or not readable(self._file, 0):
                break
            try:
                piece = self._receive()
            except BlockingIOError:
                break
            except OSError as error:
                raise SensorLostError(f"{self._name}: cannot be read ({error.strerror})") from error
            over = not piece and self._ended is not None
            data += piece if self._ended is not None else piece + b"\n"
        if not (data or over):
            return
        now = self._own.now()
        self._due = math.inf if over else now + self._pause
        for part in (data, b"") if over else (data,):
            for sample in self._make(part, now):
                self._queue.put(sample)
        if over and self._ended is not None:
            self._queue.end(self._ended)

    def _check_pipe(self) -> None:
        """Check that a named pipe is still the one that writers find; a removed one is silent for ever."""
        if self._pipe is not None:
            try:
                there = os.path.samestat(self._pipe.stat(), os.fstat(self._file))
            except FileNotFoundError:
                there = False
            if not there:
                raise SensorLostError(f"{self._name}: the pipe was removed")

    def close(self) -> None:
        """Close the descriptor."""
        if self._owned:
            os.close(self._file)


class Played:
    """Gives samples at their times on a clock, and then raises `ended` at the time `end`."""

    def __init__(
        self, samples: Iterator[Sample], ended: SensorsError, clock: Clock, end: float = 0.0
    ) -> None:
        self._samples, self._ended, self._clock, self._end = samples, ended, clock, end
        self._next: Sample | None = None

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`."""
        self._next = self._next or next(self._samples, None)
        wait = (self._next.time if self._next else self._end) - self._clock.now()
        sleep(self._clock, min(wait, timeout))
        if wait > timeout:
            return None
        if self._next is None:
            raise self._ended
        sample, self._next = self._next, None
        return sample

    def close(self) -> None:
        """Play no more."""
        self._samples = iter(())


class PolledSensor:
    """A sensor whose samples come from its `_stream` while it is open."""

    name: str
    _stream: Polled | Played | None = None

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`."""
        if self._stream is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._stream.read(timeout)

    def close(self) -> None:
        """Close the source; standard input, which belongs to the process, stays open."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None


class StreamSensor(PolledSensor, ABC):
    """A sensor of one modality, whose `_stream` is what `_opened` returns."""

    modality: str
    _remedy = "name a source that exists and may be read"

    def open(self, spec: InputSpec) -> None:
        """Open the source; raise SensorUnavailableError, which says why not."""
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        try:
            self._stream = self._opened(spec)
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: cannot be opened ({error.strerror or error}); {self._remedy}"
            ) from error

    @abstractmethod
    def _opened(self, spec: InputSpec) -> Polled | Played:
        """Open the source; raise an OSError, or SensorUnavailableError."""


class LineSplitter:
    """Splits the bytes of a stream into lines; SensorLostError for one longer than `MAX_LINE`."""

    def __init__(self, name: str, noun: str) -> None:
        self._name, self._noun = name, noun
        self._partial = b""

    def split(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes; without data, what is left."""
        *lines, self._partial = (self._partial + (data or b"\n")).split(b"\n")
        if len(self._partial) > MAX_LINE:
            raise SensorLostError(
                f"{self._name}: a line is longer than {MAX_LINE} bytes; is this a {self._noun}?"
            )
        return lines
