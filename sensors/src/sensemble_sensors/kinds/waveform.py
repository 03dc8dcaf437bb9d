"""Waveform: mono sound; every sample counts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.errors import BadDataError, SampleError
from sensemble_sensors.kinds import near
from sensemble_sensors.kinds.checks import Checks, Symptom
from sensemble_sensors.kinds.conditions.waveform import CONDITIONS
from sensemble_sensors.kinds.excerpt import LONGEST, START, ExampleFields, Excerpt
from sensemble_sensors.kinds.kind import TrackKind, described
from sensemble_sensors.kinds.recording_tracks import Converter, TrackReader, TrackWriter
from sensemble_sensors.kinds.windows import BLOCK, SteadyRing, WindowRing, blocks
from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Data, Media, Sample
from sensemble_sensors.spec import HIGHEST_RATE, InputSpec, Modality
from sensemble_sensors.thresholds import CLIPPED, CLIPPED_SHARE, CLIPPED_TIME, SETTLE, SILENT, Thresholds

if TYPE_CHECKING:  # PyAV is loaded by the first media file
    import av
    from av.container import OutputContainer

BANDS = 16  # of the spectrum, equally wide in octaves, that are compared to find a change
QUIET = -60.0  # dB below full scale, under which all sound is the same silence
MAX_LEVEL = (
    1e6  # times full scale, 120 dB above it; what is louder is no sound, and its power may be infinite
)
_MAX_SAMPLE = 120.0  # seconds of sound in a recorded sample; more is a mistake


class Waveform(TrackKind):
    """Sound: samples float32 [n], mono in [-1, 1] at the spec's rate; windows float32 [1, S]."""

    name = "waveform"
    noun = "sound"
    dtype = "float32"
    rank = 2
    continuous = True
    partner = "frames"
    track = "audio"
    waiting = 64
    replaced = True
    usual = (1, 16000), 16000, 1.0
    form_limits = (HIGHEST_RATE,)
    least_change = 3.0  # dB
    cost = 2.0
    opening = 0.2
    conditions = CONDITIONS
    near = near.WAVEFORM

    def windows(self, spec: InputSpec) -> WindowRing:
        return SteadyRing(spec, _check)

    def level(self, data: Media | str) -> float | None:
        """Return the root mean square of a window in dB of full scale, `QUIET` at least."""
        wave = np.asarray(data, np.float32).ravel()
        power = float(wave @ wave) / len(wave)
        return max(10 * math.log10(power), QUIET) if power > 0 else QUIET

    def summary(self, data: Media | str) -> NDArray[np.float32] | str:
        """Return the power of each band in dB of full scale, float32 [BANDS]."""
        wave = np.asarray(data, np.float32)[0]
        power = np.abs(np.fft.rfft(wave)) ** 2 * (2 / len(wave) ** 2)
        edges = np.unique(np.geomspace(1, len(power), BANDS + 1).astype(int))
        bands = np.add.reduceat(power, edges[:-1])
        return np.asarray(10 * np.log10(bands + 10 ** (QUIET / 10)), np.float32)

    def change(self, before: NDArray[np.float32] | str, after: NDArray[np.float32] | str) -> float:
        """Return the greatest difference of a band's power, in dB."""
        return float(np.abs(np.asarray(after) - np.asarray(before)).max())

    def checks(self, spec: InputSpec, limits: Thresholds) -> Checks:
        """Return checks for NaN, silence, clipping and a wrong rate."""
        return _SoundChecks(spec, limits)

    def max_bytes(self, spec: InputSpec) -> int:
        return 4 * round(BLOCK * spec.rate)

    def unpack(self, data: NDArray[np.uint8], spec: InputSpec) -> Media | str:  # noqa: ARG002
        return data.view(np.float32)

    def window(self, example: ExampleFields, spec: InputSpec, excerpt: Excerpt = START) -> Media | str:
        """Return float32 [1, S]; zeros past the end of the example, or of the excerpt."""
        from sensemble_sensors.codecs.tracks import decode_audio

        (path,) = self.files(example, spec.modality)
        count, start = spec.shape[1], (example.start or 0.0) + excerpt.at
        seconds = excerpt.span if example.end is None else max(min(excerpt.span, example.end - start), 0.0)
        wave = decode_audio(path, spec.rate, start, min(seconds, count / spec.rate), spec.modality)
        return np.pad(wave, (0, count - len(wave)))[None]

    def samples(self, example: ExampleFields, spec: InputSpec, end: float) -> Iterator[Sample]:
        yield from blocks(np.asarray(self.window(example, spec), np.float32)[0], spec, end)

    def check(self, example: ExampleFields, modality: Modality) -> None:
        from sensemble_sensors.codecs.tracks import decode_audio

        for path in self.files(example, modality.name):
            decode_audio(path, 16000, example.start or 0.0, LONGEST, modality.name)

    def play(self, path: Path, spec: InputSpec, origin: float) -> Iterator[Sample]:
        """Yield chunks of 0.1 s."""
        from sensemble_sensors.codecs.tracks import audio_pieces

        for first, chunk in _chunks(audio_pieces(path, spec.rate, name=spec.modality), spec.rate):
            yield Sample(spec.modality, chunk, origin + (first + len(chunk)) / spec.rate, cut=first == 0)

    def form(self, spec: InputSpec) -> tuple[int, ...]:
        """Return the sample rate (Hz)."""
        return (round(spec.rate),)

    def worded(self, form: tuple[int, ...]) -> str:
        return f"{form[0]} Hz"

    def describe(self, data: Data) -> dict[str, Any]:
        """Return how many samples of sound there are."""
        return {"count": len(data)}

    def track_writer(
        self, container: "OutputContainer", samples: Sequence[Sample], form: tuple[int, ...]
    ) -> TrackWriter:
        """Add a track of 32-bit float PCM."""
        import av

        (rate,) = form
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

    def track_reader(self, path: Path | None, modality: str, form: tuple[int, ...]) -> TrackReader:
        """See `Kind`; a line states its `count` of samples."""
        (rate,) = form
        pieces = iter(()) if path is None else _decoded(path, modality, rate)
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

    def converter(self, spec: InputSpec) -> Converter:
        return _Resampling(round(spec.rate))


def _check(sample: Sample, spec: InputSpec) -> None:  # noqa: ARG001
    data: object = sample.data
    if not (isinstance(data, np.ndarray) and data.dtype == np.float32 and data.ndim == 1):
        raise SampleError(f"{sample.modality}: {described(data)}, not float32 [n]")
    if not peak(np.asarray(sample.data, np.float32)) <= MAX_LEVEL:
        raise SampleError(
            f"{sample.modality}: holds NaN, infinity or more than {MAX_LEVEL:g} times full scale"
        )


class _SoundChecks(Checks):
    def __init__(self, spec: InputSpec, limits: Thresholds) -> None:
        self._rate = spec.rate
        self._limits = limits
        self._clipped = 0.0  # the share of clipped sound, averaged over the last seconds

    def examine(self, sample: Sample, last: Sample | None) -> Iterator[Symptom]:  # noqa: ARG002
        limits, wave = self._limits, np.asarray(sample.data, np.float32)
        loudest = peak(wave)
        if not math.isfinite(loudest):
            yield Symptom("the sound holds NaN or infinity", holds=True)
            return
        if loudest > MAX_LEVEL:
            yield Symptom(f"the sound exceeds {MAX_LEVEL:g} times full scale", holds=True)
            return
        yield Symptom("the sound is silent", loudest < SILENT, limits.silent, clears=True)
        share = np.count_nonzero(np.abs(wave) >= CLIPPED) / len(wave) if loudest >= CLIPPED else 0.0
        weight = 1 - math.exp(-len(wave) / self._rate / CLIPPED_TIME)
        self._clipped += weight * (share - self._clipped)
        yield Symptom("the sound is clipped; turn it down", self._clipped >= CLIPPED_SHARE)

    def count(self, sample: Sample) -> int:
        return len(sample.data)

    def rate(self, rates: Sequence[float]) -> Symptom:
        wrong = all(abs(rate / self._rate - 1) > self._limits.sound_rate for rate in rates)
        return Symptom(f"its rate is wrong, not {self._rate:g} Hz", wrong, SETTLE)


def peak(wave: NDArray[np.float32]) -> float:
    """Return the greatest absolute value of sound, float32 [n]; NaN or infinite if it holds either."""
    return float(np.abs(wave).max(initial=0.0))


def _chunks(pieces: Iterator[NDArray[np.float32]], rate: float) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cut sound into equal chunks of 0.1 s, the last one shorter; yield (first sample, chunk)."""
    size = round(BLOCK * rate)
    first = 0
    rest = np.zeros(0, np.float32)
    for piece in pieces:
        rest = np.concatenate([rest, piece])
        while len(rest) >= size:
            yield first, rest[:size]
            first, rest = first + size, rest[size:]
    if len(rest):
        yield first, rest


def _runs(samples: Sequence[Sample], rate: int) -> list[tuple[float, NDArray[np.float32]]]:
    """Return (begin, float32 [n]) between cuts: the times of chunks jitter, their sound does not."""
    runs: list[tuple[float, list[NDArray[np.float32]]]] = []
    for sample in samples:
        if sample.cut or not runs:
            runs.append((sample.time - len(sample.data) / rate, []))
        runs[-1][1].append(np.asarray(sample.data, np.float32))
    return [(begin, np.concatenate(pieces)) for begin, pieces in runs]


def _decoded(path: Path, name: str, rate: int) -> Iterator[NDArray[np.float32]]:
    import av

    from sensemble_sensors.codecs.tracks import decoded

    for _, frame in decoded(path, av.AudioFrame, name=name):
        if (frame.format.name, frame.layout.nb_channels, frame.sample_rate) != ("flt", 1, rate):
            raise BadDataError(f"{path}: its sound is not of {rate} Hz; copy the recording again")
        yield np.asarray(frame.to_ndarray(), np.float32).ravel()


class _Resampling(Converter):
    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._rate = 0  # of the sound since the last cut
        self._last: Sample | None = None  # None before the first sample after a cut

    def convert(self, sample: Sample, form: tuple[int, ...]) -> Iterator[Sample]:
        import av

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
        if self._last is not None:
            yield from self._resampled(self._last, None)
        self._last = None

    def _resampled(self, last: Sample, frame: "av.AudioFrame | None") -> Iterator[Sample]:
        pieces = [np.asarray(piece.to_ndarray(), np.float32)[0] for piece in self._resampler.resample(frame)]
        if not pieces:
            return
        wave = np.clip(np.concatenate(pieces), -1, 1)
        self._count_out += len(wave)
        # The resampler holds back the sound whose future it has not seen.
        behind = self._count_in / self._rate - self._count_out / self._wanted
        yield replace(last, data=wave, time=last.time - behind, cut=self._cut)
        self._cut = False
