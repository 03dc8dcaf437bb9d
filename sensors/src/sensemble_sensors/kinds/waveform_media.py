"""Sound in media files: cut into chunks, written as a lossless track, read back, resampled."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from sensemble_sensors.codecs.containers import first_track, opened
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.interfaces import Converter
from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Sample

_CHUNK = 0.1  # seconds of sound in a sample that is played
_LONGEST = 120.0  # seconds of sound in a recorded sample; more is a mistake


def chunks(pieces: Iterator[NDArray[np.float32]], rate: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cut sound into equal chunks, the last one as short as it comes; yield (first sample, chunk)."""
    size = round(_CHUNK * rate)
    first = 0
    rest = np.zeros(0, np.float32)
    for piece in pieces:
        rest = np.concatenate([rest, piece])
        while len(rest) >= size:
            yield first, rest[:size]
            first, rest = first + size, rest[size:]
    if len(rest):
        yield first, rest


class SoundWriter:
    """Writes sound as a track of 32-bit float PCM; see `TrackWriter`."""

    def __init__(self, container: OutputContainer, samples: Sequence[Sample], rate: int) -> None:
        self.begin = min(sample.time - len(sample.data) / rate for sample in samples)
        self._container = container
        self._samples = samples
        self._rate = rate
        self._track = container.add_stream("pcm_f32le", rate=rate, layout="mono")

    def write(self, start: float) -> None:
        """See `TrackWriter`."""
        end = 0
        for begin, wave in self._runs():
            piece = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
            piece.sample_rate, piece.time_base = self._rate, Fraction(1, self._rate)
            # No earlier than the end of the run before it, because a clock may step back.
            piece.pts = max(end, round((begin - start) * self._rate))
            end = piece.pts + len(wave)
            self._container.mux(self._track.encode(piece))
        self._container.mux(self._track.encode(None))

    def _runs(self) -> list[tuple[float, NDArray[np.float32]]]:
        """Return (begin, float32 [n]) between cuts: the times of chunks jitter, their sound does not."""
        runs: list[tuple[float, list[NDArray[np.float32]]]] = []
        for sample in self._samples:
            if sample.cut or not runs:
                runs.append((sample.time - len(sample.data) / self._rate, []))
            runs[-1][1].append(np.asarray(sample.data, np.float32))
        return [(begin, np.concatenate(pieces)) for begin, pieces in runs]


class SoundReader:
    """Reads the track that `SoundWriter` wrote; see `TrackReader`."""

    def __init__(self, path: Path | None, rate: int) -> None:
        self._rate = rate
        self._pieces = iter(()) if path is None else _decoded(path, rate)
        self._rest = np.zeros(0, np.float32)

    def take(self, line: Fields) -> NDArray[np.float32] | None:
        """Return the next `count` samples of sound.

        Raises:
            BadDataError: the line has no such count, or the file is unreadable or of another form.
        """
        count = line.integer("count", 1, round(_LONGEST * self._rate))
        while len(self._rest) < count:
            piece = next(self._pieces, None)
            if piece is None:
                return None
            self._rest = np.concatenate([self._rest, piece])
        taken, self._rest = np.split(self._rest, [count])
        return taken


def _decoded(path: Path, rate: int) -> Iterator[NDArray[np.float32]]:
    with opened(path) as container:
        for frame in container.decode(first_track(path, container, "audio")):
            if not isinstance(frame, av.AudioFrame):
                continue
            if (frame.format.name, frame.layout.nb_channels, frame.sample_rate) != ("flt", 1, rate):
                raise BadDataError(f"{path}: its sound is not of {rate} Hz; copy the recording again")
            yield np.asarray(frame.to_ndarray(), np.float32).ravel()


class Resampling(Converter):
    """Resamples recorded sound, from cut to cut.

    Args:
        wanted: samples a second (Hz) of the result.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._run: _Run | None = None

    def convert(self, sample: Sample, form: tuple[int, ...]) -> Iterator[Sample]:
        """See `Converter`."""
        (rate,) = form
        if rate == self._wanted:
            yield sample
            return
        if self._run is None or sample.cut or rate != self._run.rate:
            yield from self.rest()
            self._run = _Run(rate, self._wanted)
        yield from self._run.convert(sample)

    def rest(self) -> Iterator[Sample]:
        """See `Converter`."""
        if self._run is not None:
            yield from self._run.end()
        self._run = None


class _Run:
    """Sound between two cuts on its way to another rate."""

    def __init__(self, rate: int, wanted: int) -> None:
        self.rate = rate
        self._wanted = wanted
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=wanted)
        self._given = self._taken = 0  # samples so far
        self._last: Sample | None = None
        self._cut = True

    def convert(self, sample: Sample) -> Iterator[Sample]:
        wave = np.ascontiguousarray(sample.data, np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self._given, Fraction(1, self.rate)
        self._given += len(wave)
        self._last = sample
        yield from self._out(frame)

    def end(self) -> Iterator[Sample]:
        yield from self._out(None)

    def _out(self, frame: av.AudioFrame | None) -> Iterator[Sample]:
        assert self._last is not None  # noqa: S101 - a run begins with a sample
        pieces: list[NDArray[np.float32]] = [
            np.asarray(piece.to_ndarray(), np.float32)[0] for piece in self._resampler.resample(frame)
        ]
        if not pieces:
            return
        wave = np.clip(np.concatenate(pieces), -1, 1)
        self._taken += len(wave)
        # The resampler holds back the sound whose future it has not seen.
        behind = self._given / self.rate - self._taken / self._wanted
        yield replace(self._last, data=wave, time=self._last.time - behind, cut=self._cut)
        self._cut = False
