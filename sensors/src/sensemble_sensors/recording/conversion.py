"""Bring the samples of a recording to the form that a bundle takes, in the way in which media files are."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.media.frames import fit
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec


class Conversion:
    """Resizes pictures and resamples sound; what has the right form already is left as it is.

    Args:
        specs: the input of each encoder.
    """

    def __init__(self, specs: Mapping[str, InputSpec]) -> None:
        self._specs = specs
        self._run: _Run | None = None

    def convert(self, sample: Sample, rate: int) -> Iterator[Sample]:
        """Yield what becomes of a sample, and before it what is left of the sound before a cut.

        Args:
            sample: of a modality that `specs` has.
            rate: of its sound (Hz).
        """
        spec = self._specs[sample.modality]
        if sample.modality == "video":
            size = spec.shape[2], spec.shape[3]
            yield replace(sample, data=fit(np.asarray(sample.data, np.uint8), size))
        elif sample.modality == "audio" and rate != spec.rate:
            if self._run is None or sample.cut or rate != self._run.rate:
                yield from self.rest()
                self._run = _Run(rate, round(spec.rate))
            yield from self._run.convert(sample)
        else:
            yield sample

    def rest(self) -> Iterator[Sample]:
        """Yield the end of the sound, which waits for more of it."""
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
        # The resampler is behind by what it needs of the future.
        behind = self._given / self.rate - self._taken / self._wanted
        yield replace(self._last, data=wave, time=self._last.time - behind, cut=self._cut)
        self._cut = False
