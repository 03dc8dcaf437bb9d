"""Captions as a sensor: lines of standard input, a file, a pipe or a socket; subtitles at their own times."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sensemble_sensors.clock import REAL, Clock
from sensemble_sensors.codecs.subtitles import read_subtitles
from sensemble_sensors.devices.byte_streams import open_stream
from sensemble_sensors.devices.polled import MAX_LINE, LineSplitter, Played, Polled, StreamSensor
from sensemble_sensors.devices.watcher import Finder, named_source
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
    printable,
)
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_STDIN = 0
_WAITING = 16  # captions that wait for a slow reader


class Captions(StreamSensor):
    """Gives each line that is not blank as a caption, or each cue of a .srt or .vtt file when its time comes.

    Args:
        source: "-" for standard input, a file, or a socket: tcp://HOST:PORT, or its path. A named pipe stays
            open when its writers leave, and is lost when it is removed. A socket is lost when the other side
            hangs up, or half a minute after its machine is gone. Standard input and files end. A slow reader
            gets the newest lines of a stream, and all lines of a file.
        clock: of the captions' times.
    """

    _remedy = "name a source that exists and may be read, or - for standard input"

    def __init__(
        self, source: str | Path, name: str | None = None, modality: str = "text", clock: Clock = REAL
    ) -> None:
        self.modality, self._clock = modality, clock
        self.name = printable(name or f"captions {source}")
        self._source = source

    @staticmethod
    def watch(source: str, modality: str) -> Finder | None:
        """Return the finder of a file, pipe or local socket; a server would count a look as a subscriber."""
        return None if source == "-" or "://" in source else named_source(source, modality)

    @property
    def played(self) -> bool:
        """False if somebody writes the captions now; those of a file are played."""
        if str(self._source) == "-":
            with suppress(OSError):  # standard input was closed
                return stat.S_ISREG(os.fstat(_STDIN).st_mode)
        return Path(self._source).is_file()

    def _opened(self, spec: InputSpec) -> Polled | Played:  # noqa: ARG002 - a text is a text
        source, ended = str(self._source), SensorEndedError(f"{self.name}: has ended")
        if Path(source).suffix.lower() in {".srt", ".vtt"}:
            try:
                cues, origin = read_subtitles(Path(source)), self._clock.now()
            except BadDataError as error:
                raise SensorUnavailableError(str(error)) from error
            texts = (
                Sample(self.modality, cue.text, origin + cue.start, cut=i == 0) for i, cue in enumerate(cues)
            )
            shown = SensorEndedError(f"{self.name}: all is shown")
            return Played(texts, shown, self._clock, origin + max(cue.end for cue in cues))
        file = _STDIN if source == "-" else open_stream(source)
        mode = os.fstat(file).st_mode  # standard input may have been closed
        if stat.S_ISREG(mode):
            return Played(self._text(file), ended, self._clock)
        lines = LineSplitter(self.name, "text")

        def make(data: bytes, now: float) -> Iterator[Sample]:
            written = [line for line in lines.split(data) if line and not line.isspace()]
            lost = max(len(written) - _WAITING, 0)
            for line in written[-_WAITING:]:
                if caption := _caption(line):
                    yield Sample(self.modality, caption, now, lost=lost)
                    lost = 0

        over = SensorLostError(f"{self.name}: the other side hung up") if stat.S_ISSOCK(mode) else ended
        queue, owned = SampleQueue(_WAITING), file != _STDIN
        return Polled(self.name, file, queue, make, over, owned=owned, source=source, clock=self._clock)

    def _text(self, file: int) -> Iterator[Sample]:
        cut = True
        with os.fdopen(file, "rb", closefd=file != _STDIN) as text:
            while line := text.readline(MAX_LINE + 1):
                # Ended, not lost: a lost sensor is reopened, and would start again.
                if len(line) > MAX_LINE:
                    raise SensorEndedError(
                        f"{self.name}: a line is longer than {MAX_LINE} bytes; is this a text?"
                    )
                if b"\0" in line:
                    raise SensorEndedError(f"{self.name}: is not text in UTF-8")
                if caption := _caption(line):
                    yield Sample(self.modality, caption, self._clock.now(), cut)
                    cut = False


def _caption(line: bytes) -> str:
    # A byte that is not UTF-8 becomes U+FFFD: a stray one should not end a live session.
    return line.decode(errors="replace").strip()
