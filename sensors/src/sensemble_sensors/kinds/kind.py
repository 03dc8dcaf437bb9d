"""The base classes of all kinds: what a stream, a dataset and a recording ask of one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.checks import Checks
from sensemble_sensors.kinds.conditions.condition import Condition
from sensemble_sensors.kinds.excerpt import START, ExampleFields, Excerpt
from sensemble_sensors.kinds.near import Near
from sensemble_sensors.kinds.recording_tracks import Converter, TrackReader, TrackWriter
from sensemble_sensors.kinds.windows import WindowRing
from sensemble_sensors.sensor import Data, Media, Sample
from sensemble_sensors.spec import HIGHEST_RATE, Channel, DType, InputSpec, Modality
from sensemble_sensors.thresholds import Thresholds

if TYPE_CHECKING:  # PyAV is loaded by the first media file
    from av.container import OutputContainer

# Limits of a spec, which may come from a stranger's bundle; each far above what any encoder of ours needs.
_HOP = 1e-3, 3600.0  # seconds
_WINDOW = 3600.0  # seconds
_TTL = 86_400.0  # seconds
_ELEMENTS = 10**8  # of a window, or of the samples of a hop


class Stream(ABC):
    """A kind's samples and windows, their health and conditions."""

    name: ClassVar[str]  # as `InputSpec.kind` has it
    noun: ClassVar[str]  # a sample, in messages
    dtype: ClassVar[DType]  # of a window
    rank: ClassVar[int]  # the number of dimensions of a window
    steady: ClassVar[bool] = True  # samples come all the time, so a pause is a fault
    continuous: ClassVar[bool] = False  # a lost sample leaves a hole, which no window spans
    tokenized: ClassVar[bool] = False  # samples are texts: the dataset holds them, a tokenizer makes windows
    partner: ClassVar[str] = ""  # the kind whose stream this one must not drift from
    waiting: ClassVar[int]  # samples that wait for a slow reader where the sensor has its own process
    flood: ClassVar[int] = 200  # samples a second that are read at most, so that other sensors get their time
    replaced: ClassVar[bool] = False  # a server gives the reader of a removed device another one
    usual: ClassVar[tuple[tuple[int, ...], float, float]]  # shape, rate and window where no bundle has them
    least_change: ClassVar[float] = 0.0  # of a window that a saving session encodes again
    cost: ClassVar[float] = 1.0  # of a sensor that is on, in power and privacy, against that of a series
    opening: ClassVar[float] = 0.0  # seconds that a device usually takes until its first sample
    conditions: ClassVar[tuple[Condition, ...]] = ()  # the degradations of its samples
    near: ClassVar[tuple[Near, ...]] = ()  # windows that are like those of a class and of none

    # Samples and windows.

    def window_dtype(self, channels: Sequence[Channel]) -> DType:  # noqa: ARG002
        """Return the type of the elements of a window."""
        return self.dtype

    def spec_problems(self, spec: InputSpec) -> Iterator[str]:
        """Yield what is wrong with a spec of this kind."""
        dtype = self.window_dtype(spec.channels)
        if (spec.dtype, len(spec.shape)) != (dtype, self.rank) or spec.shape[0] != 1 or min(spec.shape) < 1:
            yield (
                f"expected {dtype} of {self.rank} dimensions, the first 1, "
                f"got {spec.dtype} {list(spec.shape)}"
            )
            return
        yield from self._shape_problems(spec)
        if not 0 < spec.ttl <= _TTL:
            yield f"expected a ttl above 0 s and up to {_TTL:g} s, got {spec.ttl:g}"
        yield from self._time_problems(spec)
        if spec.ttl < spec.hop:
            yield (
                f"expected a ttl of at least the hop, {spec.hop:g} s, or nothing stays live; got {spec.ttl:g}"
            )

    def _shape_problems(self, spec: InputSpec) -> Iterator[str]:  # noqa: ARG002
        yield from ()

    def _time_problems(self, spec: InputSpec) -> Iterator[str]:
        rate_is_good = 0 < spec.rate <= HIGHEST_RATE
        if not (rate_is_good and 0 < spec.window <= _WINDOW and _HOP[0] <= spec.hop <= _HOP[1]):
            yield (
                f"expected a rate above 0 and up to {HIGHEST_RATE:g} Hz, a window above 0 and up to "
                f"{_WINDOW:g} s, a hop of {_HOP[0]:g} to {_HOP[1]:g} s, "
                f"got {spec.rate:g}, {spec.window:g} and {spec.hop:g}"
            )
        elif spec.shape[1] != round(spec.rate * spec.window):
            yield (
                f"expected {spec.rate:g} Hz x {spec.window:g} s in the second dimension, "
                f"got {list(spec.shape)}"
            )
        if math.prod(spec.shape) > _ELEMENTS or spec.rate * spec.hop > _ELEMENTS:
            yield f"expected at most {_ELEMENTS} elements in a window or a hop, got {list(spec.shape)}"

    @abstractmethod
    def windows(self, spec: InputSpec) -> WindowRing:
        """Return an empty ring that makes windows of samples."""

    def level(self, data: Media | str) -> float | None:  # noqa: ARG002
        """Return how loud or bright a window is; None if it has no such level."""
        return None

    @abstractmethod
    def summary(self, data: Media | str) -> NDArray[np.float32] | str:
        """Return the small part of a window that is compared to find a change."""

    @abstractmethod
    def change(self, before: NDArray[np.float32] | str, after: NDArray[np.float32] | str) -> float:
        """Return the distance of two summaries, 0 for equal ones; the kind states the unit."""

    # A sensor under conditions.

    def captured(self, spec: InputSpec) -> InputSpec:
        """Return the form in which conditions degrade samples, for windows of `spec`."""
        return spec

    def fitted(self, sample: Sample, spec: InputSpec) -> Sample:  # noqa: ARG002
        """Return a sample of either form in the form of `spec`."""
        return sample

    # A sensor's health.

    def checks(self, spec: InputSpec, limits: Thresholds) -> Checks:  # noqa: ARG002
        """Return the health checks of a sensor that was just opened."""
        return Checks()

    # A sample that a browser sends.

    @abstractmethod
    def max_bytes(self, spec: InputSpec) -> int:
        """Return the bytes of the data of a sample at most."""

    @abstractmethod
    def unpack(self, data: NDArray[np.uint8], spec: InputSpec) -> Media | str:
        """Return a sample from its bytes; ValueError if they are of another form."""


class DatasetField(ABC):
    """A kind's field in a dataset, and how it is decoded."""

    def fields(self, modality: str) -> tuple[str, ...]:
        """Return the fields of the index for `modality`; an example has one of them at most."""
        return (modality,)

    def files(self, example: ExampleFields, modality: str) -> list[Path]:
        """Return the files of an example that last some time."""
        file = example.value(modality)
        return [file] if isinstance(file, Path) else []

    def strided(self, spec: InputSpec) -> int:  # noqa: ARG002
        """Return how many frames a stride lies between; 0 for a kind without frames."""
        return 0

    @abstractmethod
    def window(self, example: ExampleFields, spec: InputSpec, excerpt: Excerpt = START) -> Media | str:
        """Return the encoder's view of an example, of `spec.shape`, or a text; BadDataError without one."""

    @abstractmethod
    def samples(self, example: ExampleFields, spec: InputSpec, end: float) -> Iterator[Sample]:
        """Yield the window of an example as a device would have given it, complete at `end`."""

    def check(self, example: ExampleFields, modality: Modality) -> None:  # noqa: B027
        """Decode the beginning of an example's file; BadDataError if that fails."""

    def play(self, path: Path, spec: InputSpec, origin: float) -> Iterator[Sample]:  # noqa: ARG002
        """Yield a whole file that begins at `origin`, as a device would have given it."""
        raise BadDataError(f"{path}: a file of {spec.kind} cannot be a stream")

    def seconds(self, path: Path, modality: Modality) -> float:  # noqa: ARG002
        """Return how long a file lasts."""
        from sensemble_sensors.codecs.tracks import probe

        return probe(path).seconds


class RecordingTrack(ABC):
    """A kind's track or file in a recording."""

    form_limits: ClassVar[tuple[int, ...]] = ()  # the largest value of each number of `form`

    def form(self, spec: InputSpec) -> tuple[int, ...]:  # noqa: ARG002
        """Return the numbers that all samples of a recording share, such as a sample rate."""
        return ()

    def form_of(self, data: Data, asked: tuple[int, ...]) -> tuple[int, ...]:  # noqa: ARG002
        """Return the form of a sample; `asked` is the form that the recording was asked for."""
        return asked

    def worded(self, form: tuple[int, ...]) -> str:
        """Return a form in words, such as `128 x 128`."""
        return " x ".join(map(str, form))

    @abstractmethod
    def describe(self, data: Data) -> dict[str, Any]:
        """Return the fields of a sample's line in a segment."""

    @abstractmethod
    def track_reader(self, path: Path | None, modality: str, form: tuple[int, ...]) -> TrackReader:
        """Return the reader of a modality's samples; `path` is its media file, None if it has none."""


class Kind(Stream, DatasetField, RecordingTrack):
    """A sort of modality, such as sound; one instance serves all. Inherit `Series` for other numbers."""

    def converter(self, spec: InputSpec) -> Converter:
        """Return a converter of recorded samples to the form of `spec`."""
        return Converter(lambda sample: self.fitted(sample, spec))


class TrackKind(Kind):
    """A kind whose samples are a track of a media file; `track` is FFmpeg's type of it."""

    track: ClassVar[str]

    @abstractmethod
    def track_writer(
        self, container: "OutputContainer", samples: Sequence[Sample], form: tuple[int, ...]
    ) -> TrackWriter:
        """Add a lossless track for `samples`, in the order of their times, titled by their modality."""


class FileKind(Kind):
    """A kind whose samples are a file beside the media in each segment, with a name that ends in `suffix`."""

    suffix: ClassVar[str]

    @abstractmethod
    def file(
        self, samples: Sequence[Sample], names: Sequence[str], form: tuple[int, ...], begin: float
    ) -> bytes:
        """Return the file of a segment's samples; `names` are the channels', and times count from `begin`."""


def described(data: object) -> str:
    """Return the form of a sample's data, for a message."""
    return f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else type(data).__name__
