"""Captions as a sensor: lines of standard input, a file, a pipe or a socket; subtitles at their own times."""

import math
import os
import stat
from collections import deque
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO

from sensemble_sensors.devices.byte_streams import open_stream
from sensemble_sensors.devices.subtitles import read_subtitles
from sensemble_sensors.devices.watcher import Finder, caption_source
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
    printable,
)
from sensemble_sensors.readable import readable
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_MAX_LINE = 1 << 16  # bytes of a line; a longer line is not a caption
_WAITING = 16  # captions that wait for a slow reader
_PAUSE = 0.05  # seconds between two polls
_PIECES = 4  # of `_MAX_LINE` bytes, that a poll reads at most: a flood comes as fast as it is read
_STDIN = 0


class Captions:
    """Gives each line that is not blank as a caption, or each cue of a .srt or .vtt file when its time comes.

    Args:
        source: "-" for standard input, a file, or a socket: tcp://HOST:PORT, or its path. A named pipe stays
            open when its writers leave, and is lost when it is removed. A socket is lost when the other side
            hangs up, or half a minute after its machine is gone. Standard input and files end. A slow reader
            gets the newest lines of a stream, and all lines of a file.
        name: of the sensor; by default made of the source.
        modality: the name of its stream.
    """

    def __init__(self, source: str | Path, name: str | None = None, modality: str = "text") -> None:
        self.modality = modality
        self.name = printable(name or f"captions {source}")
        self._source = source
        self._lines: _Text | _Lines | _Cues | None = None

    @staticmethod
    def watch(source: str, modality: str) -> Finder | None:
        """Return the finder of a file, pipe or local socket; a server would count a look as a subscriber."""
        return None if source == "-" or "://" in source else caption_source(source, modality)

    @property
    def live(self) -> bool:
        """True if somebody writes the captions now; those of a file are played."""
        if str(self._source) == "-":
            with suppress(OSError):  # standard input was closed
                return not stat.S_ISREG(os.fstat(_STDIN).st_mode)
        return not Path(self._source).is_file()

    def open(self, spec: InputSpec) -> None:
        """Open the source and start to play subtitles; raise SensorUnavailableError, which says why not."""
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        path = Path(self._source)
        try:
            timed = path.suffix.lower() in {".srt", ".vtt"}
            self._lines = _Cues(path, self) if timed else _reader(str(self._source), self)
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: cannot be opened ({error.strerror or error}); name a source that exists and "
                "may be read, or - for standard input"
            ) from error
        except BadDataError as error:
            raise SensorUnavailableError(str(error)) from error

    def read(self, timeout: float) -> Sample | None:
        """Return the next caption; see `Sensor`."""
        if self._lines is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._lines.read(timeout)

    def close(self) -> None:
        """Close the source, except standard input, which belongs to the process."""
        if self._lines is not None:
            self._lines.close()
        self._lines = None


def _reader(source: str, of: Captions) -> "_Text | _Lines":
    file = _STDIN if source == "-" else open_stream(source)
    if stat.S_ISREG(os.fstat(file).st_mode):  # standard input may have been closed
        return _Text(os.fdopen(file, "rb", closefd=file != _STDIN), of)
    return _Lines(file, source, of)


class _Text:
    """Gives all lines of a file, as fast as they are read."""

    def __init__(self, file: IO[bytes], of: Captions) -> None:
        self._name, self._modality = of.name, of.modality
        self._file = file
        self._cut = True

    def read(self, timeout: float) -> Sample | None:
        until = monotonic() + timeout
        while line := self._file.readline(_MAX_LINE + 1):
            if len(line) > _MAX_LINE:  # a lost sensor is reopened, and would start again
                raise SensorEndedError(str(_too_long(self._name)))
            if b"\0" in line:
                raise SensorEndedError(f"{self._name}: is not text in UTF-8")
            if caption := _caption(line):
                cut, self._cut = self._cut, False
                return Sample(self._modality, caption, monotonic(), cut)
            if monotonic() >= until:
                return None
        raise SensorEndedError(f"{self._name}: has ended")

    def close(self) -> None:
        self._file.close()


class _Lines:
    """Gives lines as they are written; waits by `poll`, so that no thread is left behind.

    The pause after each poll keeps a flood cheap; it is short, because a line is stamped when it is read.
    """

    def __init__(self, file: int, source: str, of: Captions) -> None:
        self._name, self._modality = of.name, of.modality
        self._source = source
        self._file = file
        self._kind = stat.S_IFMT(os.fstat(file).st_mode)
        self._partial = b""
        self._queue = SampleQueue(_WAITING)
        self._due = 0.0  # when to poll again; infinite at the end

    def read(self, timeout: float) -> Sample | None:
        until = monotonic() + timeout
        while True:
            if monotonic() >= self._due:
                self._poll()
            sample = self._queue.get(0)
            if sample is not None:
                return sample
            left = until - monotonic()
            if left <= 0:
                self._check()
                return None
            sleep(max(min(self._due - monotonic(), left), 0.0))
            readable(self._file, max(until - monotonic(), 0.0))

    def _poll(self) -> None:
        for _ in range(_PIECES):
            if not readable(self._file, 0):
                return
            try:
                data = os.read(self._file, _MAX_LINE)
            except OSError as error:
                raise SensorLostError(f"{self._name}: cannot be read ({error.strerror})") from error
            self._split(data, monotonic())
            self._due = monotonic() + _PAUSE if data else math.inf
            if not data:
                return

    def _split(self, data: bytes, now: float) -> None:
        *whole, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _MAX_LINE:
            raise _too_long(self._name)
        if not data and self._kind == stat.S_IFSOCK:
            self._queue.end(SensorLostError(f"{self._name}: the other side hung up"))
        elif not data:
            whole.append(self._partial)
            self._queue.end(SensorEndedError(f"{self._name}: has ended"))
        written = [line for line in whole if line and not line.isspace()]
        lost = max(len(written) - _WAITING, 0)
        for line in written[-_WAITING:]:
            if caption := _caption(line):
                self._queue.put(Sample(self._modality, caption, now, lost=lost))
                lost = 0

    def _check(self) -> None:
        """Check that a named pipe is still the one that writers find; a removed one is silent for ever."""
        if self._kind == stat.S_IFIFO and self._file != _STDIN:
            try:
                there = os.path.samestat(Path(self._source).stat(), os.fstat(self._file))
            except FileNotFoundError:
                there = False
            if not there:
                raise SensorLostError(f"{self._name}: the pipe was removed")

    def close(self) -> None:
        if self._file != _STDIN:
            os.close(self._file)


def _caption(line: bytes) -> str:
    # A byte that is not UTF-8 becomes U+FFFD: a stray one should not end a live session.
    return line.decode(errors="replace").strip()


def _too_long(name: str) -> SensorLostError:
    return SensorLostError(f"{name}: a line is longer than {_MAX_LINE} bytes; is this a text?")


class _Cues:
    """Plays subtitles until the last one has been shown."""

    def __init__(self, path: Path, of: Captions) -> None:
        self._name = of.name
        cues = read_subtitles(path)
        self._origin = monotonic()
        self._end = self._origin + max(cue.end for cue in cues)
        self._samples = deque(
            Sample(of.modality, cue.text, self._origin + cue.start, cut=i == 0) for i, cue in enumerate(cues)
        )

    def read(self, timeout: float) -> Sample | None:
        due = self._samples[0].time if self._samples else self._end
        wait = due - monotonic()
        sleep(max(min(wait, timeout), 0.0))
        if wait > timeout:
            return None
        if not self._samples:
            raise SensorEndedError(f"{self._name}: all is shown")
        return self._samples.popleft()

    def close(self) -> None:
        self._samples.clear()
