"""Frames: the pictures of a camera or a film."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.codecs.framing import fit
from sensemble_sensors.errors import BadDataError, SampleError
from sensemble_sensors.kinds import near
from sensemble_sensors.kinds.checks import Checks, Symptom
from sensemble_sensors.kinds.conditions.frames import CONDITIONS
from sensemble_sensors.kinds.excerpt import LONGEST, START, ExampleFields, Excerpt
from sensemble_sensors.kinds.kind import TrackKind, described
from sensemble_sensors.kinds.recording_tracks import TrackReader, TrackWriter
from sensemble_sensors.kinds.thermal import range_problem, shares
from sensemble_sensors.kinds.windows import Window, WindowRing
from sensemble_sensors.sensor import Data, Media, Sample
from sensemble_sensors.spec import KNOWN, Channel, DType, InputSpec, Modality
from sensemble_sensors.thresholds import BLACK, SETTLE, Thresholds

if TYPE_CHECKING:
    from av.container import OutputContainer

STILL = "image"  # the first part of the field of a still picture, which stands for a film that does not move
GRID = 8  # pixels a side of each frame that are compared to find a change
# Frames kept for each one that a window needs: close enough for the nearest to be a good one, and memory does
# not grow with the camera's rate.
OVERSAMPLING = 4
CAPTURED = 120  # pixels of the shorter side of a picture that is degraded, as the smallest cameras give
_TICKS = 1000  # a second, in Matroska
_GREY = "gray16le"  # FFmpeg's name of what one channel is recorded as
_SMALL = (16, 16)  # pixels of a picture that is only decoded to see that it can be


class Frames(TrackKind):
    """Pictures: samples uint8 [H, W, 3], RGB of the spec's size; windows uint8 [1, T, H, W, 3].

    A thermal or depth camera has one channel, and its range: samples uint16 [H, W, 1], the camera's own
    numbers; windows float32 [1, T, H, W, 1], shares of the range.
    """

    name = "frames"
    noun = "picture"
    dtype = "uint8"
    rank = 5
    partner = "waveform"
    track = "video"
    waiting = 2
    usual = (1, 30, 128, 128, 3), 30, 1.0
    form_limits = (1 << 13, 1 << 13)
    least_change = 0.02  # of full scale
    cost = 10.0
    opening = 0.5
    conditions = CONDITIONS
    near = near.FRAMES

    def _shape_problems(self, spec: InputSpec) -> Iterator[str]:
        if spec.shape[-1] != (len(spec.channels) or 3):
            yield f"expected RGB, 3 in the last dimension, or 1 with a channel, got {list(spec.shape)}"
        if problem := range_problem(spec.channels):
            yield problem

    def window_dtype(self, channels: Sequence[Channel]) -> DType:
        """Return float32 for pictures of one channel."""
        return "float32" if channels else "uint8"

    def windows(self, spec: InputSpec) -> WindowRing:
        return FramesRing(spec)

    def level(self, data: Media | str) -> float | None:
        """Return the mean brightness of some of a window's pixels, in [0, 1]."""
        return float(np.asarray(self.summary(data)).mean())

    def summary(self, data: Media | str) -> NDArray[np.float32] | str:
        """Return some of the pixels of each frame, float32 [T, h, w, C] in [0, 1]."""
        frames = np.asarray(data)[0]
        _, height, width, _ = frames.shape
        some = frames[:, :: max(1, height // GRID), :: max(1, width // GRID)]
        return np.asarray(some, np.float32) / np.float32(255 if some.dtype == np.uint8 else 1)

    def change(self, before: NDArray[np.float32] | str, after: NDArray[np.float32] | str) -> float:
        """Return the mean difference of pixels, as a fraction of full scale."""
        return float(np.abs(np.asarray(after) - np.asarray(before)).mean())

    def captured(self, spec: InputSpec) -> InputSpec:
        """Return pictures of a camera's size, in the proportions of the window's."""
        _, count, *size, channels = spec.shape
        scale = max(1.0, CAPTURED / min(size))
        return replace(spec, shape=(1, count, *(round(scale * side) for side in size), channels))

    def fitted(self, sample: Sample, spec: InputSpec) -> Sample:
        """Return a picture resized to that of `spec`."""
        _, _, height, width, _ = spec.shape
        return replace(sample, data=fit(_picture(sample), (height, width)))

    def checks(self, spec: InputSpec, limits: Thresholds) -> Checks:
        """Return checks for frozen and black pictures, saturated ones of one channel, and for a low rate."""
        return _PictureChecks(spec, limits)

    def max_bytes(self, spec: InputSpec) -> int:
        return math.prod(spec.shape[2:]) if not spec.channels else 0  # no browser has a thermal camera

    def unpack(self, data: NDArray[np.uint8], spec: InputSpec) -> Media | str:
        return data.reshape(spec.shape[2:])

    def fields(self, modality: str) -> tuple[str, ...]:
        """Return the field of a film and that of a still picture: `video.rear`, `image.rear`."""
        return modality, _still(modality)

    def strided(self, spec: InputSpec) -> int:
        return spec.shape[1]

    def window(self, example: ExampleFields, spec: InputSpec, excerpt: Excerpt = START) -> Media | str:
        """Return frames [1, T, H, W, C], frame i as shown i steps after the start; the last is held."""
        return _seen(self._frames(example, spec, excerpt), spec)[None]

    def _frames(self, example: ExampleFields, spec: InputSpec, excerpt: Excerpt = START) -> NDArray[Any]:
        from sensemble_sensors.codecs.tracks import decode_video

        _, count, height, width, _ = spec.shape
        grey, size, framing = bool(spec.channels), (height, width), excerpt.framing
        still = example.value(_still(spec.modality))
        if isinstance(still, Path):
            return decode_video(still, spec.rate, count, size, framing=framing, grey=grey)
        (path,) = self.files(example, spec.modality)
        rate = 1 / excerpt.step if excerpt.step else spec.rate
        start = (example.start or 0.0) + excerpt.at
        return decode_video(
            path, rate, count, size, start, end=example.end, framing=framing, name=spec.modality, grey=grey
        )

    def samples(self, example: ExampleFields, spec: InputSpec, end: float) -> Iterator[Sample]:
        """Yield frame by frame."""
        frames = self._frames(example, spec)
        for i, frame in enumerate(frames):
            yield Sample(spec.modality, frame, end - (len(frames) - 1 - i) / spec.rate, cut=i == 0)

    def check(self, example: ExampleFields, modality: Modality) -> None:
        shape = (1, round(LONGEST), *_SMALL, len(modality.channels) or 3)
        dtype, channels = self.window_dtype(modality.channels), modality.channels
        few = InputSpec(modality.name, dtype, shape, 1.0, LONGEST, 1.0, 1.0, modality.kind, channels)
        self._frames(example, few)

    def play(self, path: Path, spec: InputSpec, origin: float) -> Iterator[Sample]:
        """Yield frame by frame, at the spec's rate."""
        from sensemble_sensors.codecs.tracks import video_frames

        size, grey = (spec.shape[2], spec.shape[3]), bool(spec.channels)
        for i, frame in enumerate(video_frames(path, spec.rate, size, name=spec.modality, grey=grey)):
            yield Sample(spec.modality, frame, origin + i / spec.rate, cut=i == 0)

    def form(self, spec: InputSpec) -> tuple[int, ...]:
        """Return height and width."""
        return spec.shape[2:4]

    def form_of(self, data: Data, asked: tuple[int, ...]) -> tuple[int, ...]:  # noqa: ARG002
        """Return height and width."""
        return np.shape(data)[:2]

    def describe(self, data: Data) -> dict[str, Any]:  # noqa: ARG002
        """See `Kind`; the track holds one picture a line."""
        return {}

    def track_writer(
        self, container: "OutputContainer", samples: Sequence[Sample], form: tuple[int, ...]
    ) -> TrackWriter:
        """Add a track of FFV1, whose slices carry checksums: RGB, or 16 bits of grey."""
        import av

        track = container.add_stream("ffv1", options={"level": "3", "slicecrc": "1"})
        track.metadata["title"] = samples[0].modality
        track.height, track.width = form
        grey = _picture(samples[0]).dtype == np.uint16
        track.pix_fmt = _GREY if grey else "bgr0"
        track.codec_context.time_base = Fraction(1, _TICKS)
        track.codec_context.thread_count = 1

        def write(start: float) -> None:
            tick = -1
            for sample in samples:
                picture = _picture(sample)
                if grey:
                    frame = av.VideoFrame.from_ndarray(picture[..., 0], format=_GREY)
                else:
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="bgr0")
                tick = max(tick + 1, round((sample.time - start) * _TICKS))
                frame.pts, frame.time_base = tick, Fraction(1, _TICKS)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))

        return TrackWriter(min(sample.time for sample in samples), write)

    def track_reader(self, path: Path | None, modality: str, form: tuple[int, ...]) -> TrackReader:
        """See `Kind`; the pictures are as their samples."""
        pictures = iter(()) if path is None else _decoded(path, modality, form)
        return lambda _: next(pictures, None)


def _still(modality: str) -> str:
    first, dot, rest = modality.partition(".")
    return STILL + dot + rest if first in KNOWN else f"{STILL}.{modality}"


def _picture(sample: Sample) -> NDArray[Any]:
    assert not isinstance(sample.data, str)  # noqa: S101 - a sample of this kind
    return sample.data


def _seen(frames: NDArray[Any], spec: InputSpec) -> NDArray[Any]:
    return shares(frames, spec.channels[0]) if spec.channels else frames


class FramesRing(WindowRing):
    """Windows of T frames, those nearest to steps of 1/rate that end at the newest frame; one a hop."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        count = spec.shape[1]
        slots = OVERSAMPLING * count + 3
        self._step = 1 / spec.rate
        self._offsets = (np.arange(count) - (count - 1)) * self._step
        self._frames = np.zeros((slots, *spec.shape[2:]), np.uint16 if spec.channels else np.uint8)
        self._times = np.zeros(slots)
        self._empty()

    def _seconds(self, sample: Sample) -> float:
        data: object = sample.data
        dtype, shape = self._frames.dtype, self._frames.shape[1:]
        if not (isinstance(data, np.ndarray) and data.dtype == dtype and data.shape == shape):
            raise SampleError(f"{sample.modality}: {described(data)}, not {dtype} {list(shape)}")
        return 0.0

    def _empty(self) -> None:
        self._times.fill(-math.inf)
        self._slot = -1  # of the newest frame
        self._due = math.nan  # when the next window is; NaN before the first

    @property
    def due(self) -> float | None:
        if self._slot < 0:
            return None
        first = float(self._times[np.isfinite(self._times)].min())
        return first - float(self._offsets[0]) if math.isnan(self._due) else self._due

    def _append(self, sample: Sample) -> int:
        # A frame too close to the one before it is only kept while it is the newest.
        spacing = float(self._times[self._slot]) - float(self._times[self._slot - 1])
        if not spacing < self._step / OVERSAMPLING:
            self._slot = (self._slot + 1) % len(self._times)
        self._times[self._slot] = self._time
        self._frames[self._slot] = _picture(sample)
        kept = self._times[np.isfinite(self._times)]
        first = kept.min()
        if first > self._time + self._offsets[0] + self._step / 2:
            return 0
        hop = self._spec.hop
        if math.isnan(self._due):
            self._due = self._time + hop
            return 1
        # The frame nearest to when a window is due ends it. Hops count from the first: jitter never adds up.
        early = min((self._time - first) / (len(kept) - 1), hop) / 2
        if self._time + early < self._due:
            return 0
        self._due += (math.floor((self._time + early - self._due) / hop) + 1) * hop
        return 1

    def _newest(self) -> Window:
        by_time = np.argsort(self._times, kind="stable")
        wanted = self._time + self._offsets
        nearest = np.abs(self._times[by_time] - wanted[:, None]).argmin(axis=1)
        return Window(_seen(self._frames[by_time[nearest]], self._spec)[None], self._time)


class _PictureChecks(Checks):
    def __init__(self, spec: InputSpec, limits: Thresholds) -> None:
        self._least = limits.picture_rate * spec.rate
        self._limits = limits
        self._spec = spec

    def examine(self, sample: Sample, last: Sample | None) -> Iterator[Symptom]:
        limits, picture = self._limits, _picture(sample)
        same = last is not None and np.array_equal(picture, np.asarray(last.data))
        if self._spec.channels:
            level = 255 * float(_seen(picture, self._spec).mean())
            yield Symptom("the picture is saturated", level > 255 - BLACK, limits.black, clears=True)
        else:
            level = float(picture.mean())
        dark = level < BLACK
        yield Symptom("the picture is frozen", same and not dark, limits.frozen)
        yield Symptom("the picture is black", dark, limits.black, clears=True)

    def rate(self, rates: Sequence[float]) -> Symptom:
        finding = f"it gives fewer than {self._least:g} pictures a second"
        return Symptom(finding, max(rates) < self._least, SETTLE)


def _decoded(path: Path, name: str, size: tuple[int, ...]) -> Iterator[NDArray[Any]]:
    import av

    from sensemble_sensors.codecs.tracks import decoded

    for _, frame in decoded(path, av.VideoFrame, name=name):
        if (frame.height, frame.width) != size:
            raise BadDataError(f"{path}: a picture is not of {' x '.join(map(str, size))}; copy it again")
        if frame.format.name == _GREY:
            yield frame.to_ndarray()[..., None]
        else:
            yield frame.reformat(format="rgb24").to_ndarray()
