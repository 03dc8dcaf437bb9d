"""Sound in media files: cut into chunks, written as a lossless track, read back, resampled."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from sensemble_sensors.codecs.containers import opened, track_of
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.interfaces import Converter, TrackReader, TrackWriter
from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Sample

_CHUNK = 0.1  # seconds of sound in a sample that is played
_MAX_SAMPLE = 120.0  # seconds of sound in a recorded sample; more is a mistake


def chunks(pieces: Iterator[NDArray[np.float32]], rate: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cut sound into equal chunks of 0.1 s, the last one shorter; yield (first sample, chunk)."""
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


def sound_writer(container: OutputContainer, samples: Sequence[Sample], rate: int) -> TrackWriter:
    """Add a track of 32-bit float PCM, with the name of the samples' modality."""
    track = container.add_stream("pcm_f32le", rate=rate, layout="mono")
    track.metadata["title"] = samples[0].modality

    def write(start: float) -> None:
        end = 0
        for begin, wave in _runs(samples, rate):
            piece = av.AudioFrame.from_ndarray(wave[None], format="flt", layout="mono")
            piece.sample_rate, piece.time_base = rate, Fraction(1, rate)
            # No earlier than the end of the run before it, because a clock may step back.
            piece.pts = max(end, round((begin - start) * rate))
            end = piece.pts + len(wave)
            container.mux(track.encode(piece))
        container.mux(track.encode(None))

    return TrackWriter(min(sample.time - len(sample.data) / rate for sample in samples), write)


def _runs(samples: Sequence[Sample], rate: int) -> list[tuple[float, NDArray[np.float32]]]:
    """Return (begin, float32 [n]) between cuts: the times of chunks jitter, their sound does not."""
    runs: list[tuple[float, list[NDArray[np.float32]]]] = []
    for sample in samples:
        if sample.cut or not runs:
            runs.append((sample.time - len(sample.data) / rate, []))
        runs[-1][1].append(np.asarray(sample.data, np.float32))
    return [(begin, np.concatenate(pieces)) for begin, pieces in runs]


def sound_reader(path: Path | None, name: str, rate: int) -> TrackReader:
    """Read the sound of such a track; a line states its `count` of samples."""
    pieces = iter(()) if path is None else _decoded(path, name, rate)
    rest = np.zeros(0, np.float32)

    def read(line: Fields) -> NDArray[np.float32] | None:
        nonlocal rest
        count = line.integer("count", 1, round(_MAX_SAMPLE * rate))
        while len(rest) < count:
            piece = next(pieces, None)
            if piece is None:
                return None
            rest = np.concatenate([rest, piece])
        data, rest = np.split(rest, [count])
        return data

    return read


def _decoded(path: Path, name: str, rate: int) -> Iterator[NDArray[np.float32]]:
    with opened(path) as container:
        for frame in container.decode(track_of(path, container, "audio", name)):
            if not isinstance(frame, av.AudioFrame):
                continue
            if (frame.format.name, frame.layout.nb_channels, frame.sample_rate) != ("flt", 1, rate):
                raise BadDataError(f"{path}: its sound is not of {rate} Hz; copy the recording again")
            yield np.asarray(frame.to_ndarray(), np.float32).ravel()


class Resampling(Converter):
    """Resamples recorded sound to `wanted` Hz, from cut to cut."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._rate = 0  # of the sound since the last cut
        self._last: Sample | None = None  # None before the first sample after a cut

    def convert(self, sample: Sample, form: tuple[int, ...]) -> Iterator[Sample]:
        """See `Converter`."""
        (rate,) = form
        if rate == self._wanted:
            yield sample
            return
        if self._last is None or sample.cut or rate != self._rate:
            yield from self.rest()
            self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=self._wanted)
            self._rate, self._cut = rate, True
            self._count_in = self._count_out = 0  # samples of sound since the cut
        wave = np.ascontiguousarray(sample.data, np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, self._count_in, Fraction(1, rate)
        self._count_in += len(wave)
        self._last = sample
        yield from self._resampled(sample, frame)

    def rest(self) -> Iterator[Sample]:
        """See `Converter`."""
        if self._last is not None:
            yield from self._resampled(self._last, None)
        self._last = None

    def _resampled(self, last: Sample, frame: av.AudioFrame | None) -> Iterator[Sample]:
        pieces = [np.asarray(piece.to_ndarray(), np.float32)[0] for piece in self._resampler.resample(frame)]
        if not pieces:
            return
        wave = np.clip(np.concatenate(pieces), -1, 1)
        self._count_out += len(wave)
        # The resampler holds back the sound whose future it has not seen.
        behind = self._count_in / self._rate - self._count_out / self._wanted
        yield replace(last, data=wave, time=last.time - behind, cut=self._cut)
        self._cut = False
