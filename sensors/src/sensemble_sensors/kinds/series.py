"""Series: measurements of several channels at a steady rate, such as an inertial unit's."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.errors import BadDataError, SampleError
from sensemble_sensors.kinds import near
from sensemble_sensors.kinds.checks import Checks, Symptom
from sensemble_sensors.kinds.conditions.series import CONDITIONS
from sensemble_sensors.kinds.excerpt import START, ExampleFields, Excerpt
from sensemble_sensors.kinds.kind import FileKind, described
from sensemble_sensors.kinds.recording_tracks import Converter, TrackReader
from sensemble_sensors.kinds.resampling import LARGEST, PAUSE, STEPS, Resampler, Rows, Times, resampled
from sensemble_sensors.kinds.series_files import read_series, write_series
from sensemble_sensors.kinds.windows import SteadyRing, WindowRing, blocks
from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Data, Media, Sample
from sensemble_sensors.spec import HIGHEST_RATE, MAX_CHANNELS, InputSpec, Modality
from sensemble_sensors.thresholds import CLIPPED_SHARE, CLIPPED_TIME, SETTLE, Thresholds

_BLOCKS = 10.0  # seconds of a file that are resampled at a time
_LONGEST = 120.0  # seconds of rows in a recorded sample; more is a mistake
_MILLI = 1000
_KNOWN = 20  # changes of a channel after which its usual pace is known
_LONG = 20  # times the usual distance of two changes, after which a channel is stuck
_BEYOND = 0.01  # of a range, by which rounding may exceed it
_SEEN = 1000  # rows of a file by which their distance is known
_SLOW = 300  # times the distance of rows that their rate says: their clock does not count seconds
_ROWS = 2.0  # that a count of rows may be off by


class Series(FileKind):
    """Measurements: samples float32 [n, C], rows at the spec's rate; windows float32 [1, T, C]."""

    name = "series"
    noun = "measurement"
    dtype = "float32"
    rank = 3
    continuous = True
    waiting = 64
    flood = 4000  # an inertial unit may give each of its rows by itself
    suffix = ".csv"
    form_limits = (MAX_CHANNELS, _MILLI * HIGHEST_RATE)
    least_change = 0.5
    conditions = CONDITIONS
    near = near.SERIES

    def _shape_problems(self, spec: InputSpec) -> Iterator[str]:
        names = [channel.name for channel in spec.channels]
        if len(names) != spec.shape[2] or len(set(names)) < len(names) or len(names) > MAX_CHANNELS:
            yield (
                f"expected {spec.shape[2]} channels, up to {MAX_CHANNELS}, each of another name, got "
                f"{', '.join(names)[:200] or 'none'}"
            )

    def windows(self, spec: InputSpec) -> WindowRing:
        return SteadyRing(spec, _check)

    def summary(self, data: Media | str) -> NDArray[np.float32] | str:
        """Return the mean and the standard deviation of each channel, float32 [2, C]."""
        rows = np.asarray(data, np.float32)[0]
        return np.stack([rows.mean(axis=0), rows.std(axis=0)])

    def change(self, before: NDArray[np.float32] | str, after: NDArray[np.float32] | str) -> float:
        """Return the largest change of a channel's mean and deviation, in deviations."""
        old, new = np.asarray(before, np.float64), np.asarray(after, np.float64)
        moved = np.abs(new - old).sum(axis=0)
        return float((moved / np.maximum(np.maximum(old[1], new[1]), 1e-12)).max())

    def checks(self, spec: InputSpec, limits: Thresholds) -> Checks:
        """Return checks for NaN, stuck and saturated channels, values out of range and a wrong rate."""
        return _SeriesChecks(spec, limits)

    def max_bytes(self, spec: InputSpec) -> int:
        """Return the bytes of a second: a page that stood still for half of one fills in its rows at once."""
        return 4 * spec.shape[2] * math.ceil(spec.rate)

    def unpack(self, data: NDArray[np.uint8], spec: InputSpec) -> Media | str:
        return data.view(np.float32).reshape(-1, spec.shape[2])

    def files(self, example: ExampleFields, modality: str) -> list[Path]:  # noqa: ARG002
        """Return none: FFmpeg cannot tell how long they last."""
        return []

    def window(self, example: ExampleFields, spec: InputSpec, excerpt: Excerpt = START) -> Media | str:
        """Return float32 [1, T, C]; an example that is shorter is repeated, forwards and backwards."""
        path, names = example.value(spec.modality), [channel.name for channel in spec.channels]
        assert isinstance(path, Path)  # noqa: S101 - an example that has the modality
        times, rows = _read(path, names, spec.rate)
        start, last = _bounds(path, times, example, spec.rate)
        span = min(excerpt.span, (spec.shape[1] - 1) / spec.rate)
        start = min(_begin(times, min(start + excerpt.at, last), span, spec.rate), last)
        count = math.floor(min(last - start, span) * spec.rate + 0.5) + 1
        steady = resampled(times, rows, start + np.arange(count) / spec.rate, 1 / spec.rate)
        return filled(steady, spec.shape[1])[None]

    def samples(self, example: ExampleFields, spec: InputSpec, end: float) -> Iterator[Sample]:
        yield from blocks(np.asarray(self.window(example, spec), np.float32)[0], spec, end)

    def check(self, example: ExampleFields, modality: Modality) -> None:
        path = example.value(modality.name)
        assert isinstance(path, Path)  # noqa: S101 - an example that has the modality
        _bounds(path, _declared_times(path, modality), example, modality.rate)

    def play(self, path: Path, spec: InputSpec, origin: float) -> Iterator[Sample]:
        """Yield blocks of 0.1 s, at the times of the file from `origin` on."""
        times, rows = _read(path, [channel.name for channel in spec.channels], spec.rate)
        resampler, size = Resampler(spec.rate), max(1, round(_BLOCKS * spec.rate))
        for first in range(0, len(times), size):
            part = slice(first, first + size)
            for end, block, cut in resampler.add(times[part], rows[part]):
                for sample in blocks(block, spec, origin + end):
                    yield replace(sample, cut=cut and sample.cut)

    def seconds(self, path: Path, modality: Modality) -> float:
        return float(_declared_times(path, modality)[-1]) + 1 / modality.rate

    def form(self, spec: InputSpec) -> tuple[int, ...]:
        """Return the number of channels and the rate (mHz)."""
        return spec.shape[2], round(_MILLI * spec.rate)

    def worded(self, form: tuple[int, ...]) -> str:
        return f"{form[1] / _MILLI:g} Hz in {form[0]} channels"

    def describe(self, data: Data) -> dict[str, Any]:
        """Return how many rows there are."""
        return {"count": len(data)}

    def file(
        self, samples: Sequence[Sample], names: Sequence[str], form: tuple[int, ...], begin: float
    ) -> bytes:
        """Return a segment's rows as CSV, whose times count from `begin`."""
        step = _MILLI / form[1]
        times = [s.time - begin - step * np.arange(len(s.data))[::-1] for s in samples]
        rows = np.concatenate([np.asarray(s.data, np.float32) for s in samples])
        return write_series(_rising(np.concatenate(times)), rows, names)

    def track_reader(self, path: Path | None, modality: str, form: tuple[int, ...]) -> TrackReader:  # noqa: ARG002
        """See `Kind`; a line states its `count` of rows."""
        rows = np.zeros((0, form[0]), np.float32) if path is None else read_series(path)[1]
        if rows.shape[1] != form[0]:
            raise BadDataError(f"{path}: has not {form[0]} channels; copy the recording again")
        at = 0

        def read(line: Fields) -> Rows | None:
            nonlocal at
            count = line.integer("count", 1, max(1, round(_LONGEST * form[1] / _MILLI)))
            block = rows[at : at + count]
            at += count
            return block if len(block) == count else None

        return read

    def converter(self, spec: InputSpec) -> Converter:
        return _Resampling(spec)


def _declared_times(path: Path, modality: Modality) -> Times:
    if not (modality.rate and modality.channels):
        raise BadDataError(
            f"modalities.json: {modality.name}: a series needs its rate (rows a second) and its channels"
        )
    return _read(path, [channel.name for channel in modality.channels], modality.rate)[0]


def _bounds(path: Path, times: Times, example: ExampleFields, rate: float) -> tuple[float, float]:
    """Return when an example begins and its last step; BadDataError where no row of the sensor lies there."""
    # Without its own start, the example begins where its rows do: their clock may be any.
    start = times[0] if example.start is None else example.start
    last = min(math.inf if example.end is None else example.end - 1 / rate, times[-1])
    if _begin(times, start, last - start, rate) > last + 0.5 / rate:
        raise BadDataError(f"{path}: has no rows in the example from {start:g} s on; move its bounds")
    return start, last


def _begin(times: Times, start: float, span: float, rate: float) -> float:
    """Return `start`, or the next row where a hole of the sensor lasts for `span` seconds from there."""
    half = 0.5 / rate
    first = int(np.searchsorted(times, start - half))
    row: float = times[first] if first < len(times) else math.inf
    hole = first == 0 or row - times[first - 1] > max(PAUSE, STEPS / rate)
    return row if hole and row > start + span + half else start


def _read(path: Path, names: Sequence[str], rate: float) -> tuple[Times, Rows]:
    """Read a file whose rows come at about `rate`; BadDataError if its clock does not count seconds."""
    times, rows = read_series(path, names)
    if times is None:
        times = np.arange(len(rows)) / rate
    step = 0.0 if len(times) < 2 else float(np.median(np.diff(times[:_SEEN])))
    if step * rate > _SLOW:
        raise BadDataError(
            f"{path}: time: a row every {step:g} s, and modalities.json says {rate:g} a second; if it is in "
            "milliseconds, divide it by 1000"
        )
    return times, rows


def filled(rows: Rows, count: int) -> Rows:
    """Return `count` rows of fewer: forwards, backwards, and so on."""
    if len(rows) >= count:
        return rows[:count]
    there = np.concatenate([rows, rows[::-1]])
    return np.tile(there, (math.ceil(count / len(there)), 1))[:count]


def _rising(times: Times) -> Times:
    """Return times a microsecond apart at least, because a clock may step back."""
    least = 1e-6 * np.arange(len(times))
    rising: Times = np.maximum.accumulate(np.round(times, 6) - least) + least
    return rising


def _check(sample: Sample, spec: InputSpec) -> None:
    data: object = sample.data
    if not (isinstance(data, np.ndarray) and data.dtype == np.float32 and data.shape[1:] == spec.shape[2:]):
        raise SampleError(f"{sample.modality}: {described(data)}, not float32 [n, {spec.shape[2]}]")
    if not (np.abs(np.asarray(sample.data)) <= LARGEST).all():
        raise SampleError(f"{sample.modality}: holds NaN, infinity or more than {LARGEST:g}")


class _Resampling(Converter):
    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        self._resampler = Resampler(spec.rate)

    def convert(self, sample: Sample, form: tuple[int, ...]) -> Iterator[Sample]:
        channels, milli = form
        if channels != self._spec.shape[2]:
            raise BadDataError(
                f"{sample.modality}: {channels} channels were recorded, not {self._spec.shape[2]}"
            )
        if milli == round(_MILLI * self._spec.rate):
            yield sample
            return
        if sample.cut:
            self._resampler = Resampler(self._spec.rate)
        rows = np.asarray(sample.data, np.float32)
        times = sample.time - np.arange(len(rows))[::-1] * _MILLI / milli
        for end, block, cut in self._resampler.add(times, rows):
            yield replace(sample, data=block, time=end, cut=cut)


class _SeriesChecks(Checks):
    """Finds NaN, channels that are stuck, saturated or out of their range, and a wrong rate.

    A channel is stuck if it stays the same for `Thresholds.frozen` seconds and twenty times as long as usual:
    slow sensors repeat themselves. Three channels that never changed are stuck as well.
    """

    def __init__(self, spec: InputSpec, limits: Thresholds) -> None:
        self._rate, self._limits = spec.rate, limits
        self._names = [channel.name for channel in spec.channels]
        self._low = np.array([channel.low for channel in spec.channels])
        self._high = np.array([channel.high for channel in spec.channels])
        width = self._high - self._low
        self._slack = np.where(np.isfinite(width), _BEYOND * width, 0.0)
        count = len(self._names)
        self._rows = 0
        self._changes = np.zeros(count)
        self._changed = np.zeros(count)  # the row of each channel's last change
        self._saturated = np.zeros(count)  # the share of rows at an end of the range, of the last seconds

    def examine(self, sample: Sample, last: Sample | None) -> Iterator[Symptom]:
        rows = np.asarray(sample.data, np.float64)
        if not len(rows):
            return
        if not (np.abs(rows) <= LARGEST).all():
            yield Symptom(f"it holds NaN, infinity or more than {LARGEST:g}", holds=True)
            return
        yield from self._stuck(rows, None if last is None else np.asarray(last.data, np.float64)[-1:])
        outside = (rows < self._low - self._slack) | (rows > self._high + self._slack)
        beyond = np.asarray(outside.any(axis=0))
        if beyond.any():
            yield Symptom(f"{self._named(beyond)} out of range", holds=True)
        share = ((rows <= self._low) | (rows >= self._high)).mean(axis=0)
        weight = 1 - math.exp(-len(rows) / self._rate / CLIPPED_TIME)
        self._saturated += weight * (share - self._saturated)
        full = (self._saturated >= CLIPPED_SHARE) & ~beyond
        if full.any():
            yield Symptom(f"{self._named(full)} saturated", holds=True)

    def _stuck(self, rows: Times, before: Times | None) -> Iterator[Symptom]:
        steps = np.diff(rows if before is None else np.concatenate([before, rows]), axis=0) != 0
        first = self._rows + (1 if before is None else 0)
        self._rows += len(rows)
        self._changes += steps.sum(axis=0)
        places = first + np.arange(len(steps))[:, None]
        self._changed = np.maximum(self._changed, np.where(steps, places + 1, 0).max(axis=0, initial=0))
        same = self._rows - self._changed
        usual = np.where(self._changes > 0, self._changed / np.maximum(self._changes, 1), np.inf)
        long = max(self._limits.frozen * self._rate, _LONG)
        stuck = np.asarray((self._changes >= _KNOWN) & (same >= np.maximum(long, _LONG * usual)))
        if len(self._names) >= 3 and not self._changes.any() and self._rows >= long:
            stuck[:] = True
        if stuck.any():  # never where an infinite limit turns the check off
            yield Symptom(f"{self._named(stuck)} stuck", holds=True)

    def _named(self, which: NDArray[np.bool_]) -> str:
        names = [name for name, chosen in zip(self._names, which, strict=True) if chosen]
        shown = "all channels" if len(names) == len(self._names) > 1 else ", ".join(names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 and shown != "all channels" else ""
        return f"{shown}{more} {'is' if len(names) == 1 else 'are'}"

    def count(self, sample: Sample) -> int:
        return len(sample.data)

    def rate(self, rates: Sequence[float]) -> Symptom:
        off = max(self._limits.sound_rate, _ROWS / (self._rate * self._limits.rate))
        wrong = all(abs(rate / self._rate - 1) > off for rate in rates)
        return Symptom(f"its rate is wrong, not {self._rate:g} Hz", wrong, SETTLE)
