"""The interface of a kind, and what its methods take and return."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sensemble_sensors.codecs.framing import COVER, Framing
from sensemble_sensors.kinds.windows import Windows
from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Media, Sample
from sensemble_sensors.spec import DType, InputSpec
from sensemble_sensors.thresholds import Thresholds

if TYPE_CHECKING:  # PyAV is loaded by the first media file
    from av.container import OutputContainer

# Limits of a spec, which may come from a stranger's bundle; each far above what any encoder of ours needs.
_RATE = 1e6  # samples or frames a second
_HOP = 1e-3, 3600.0  # seconds
_WINDOW = 3600.0  # seconds
_TTL = 86_400.0  # seconds
_ELEMENTS = 10**8  # of a window, or of the samples of a hop


class Source(Protocol):
    """The part of a dataset example that a kind reads."""

    @property
    def start(self) -> float | None:
        """Seconds within its files at which the example begins; None for their beginning."""

    @property
    def end(self) -> float | None:
        """Seconds within its files at which the example ends; None for their end."""

    def given(self, field: str) -> Path | str | None:
        """Return the value of a field of the dataset: a file or a text; None where it is absent."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of an example that a window is decoded from.

    Attributes:
        at: seconds from the example's start to the window's.
        span: seconds of sound at most; infinite for the spec's window.
        step: seconds from one frame to the next; 0 for the spec's rate.
        framing: which part of each picture fills a frame.
    """

    at: float = 0.0
    span: float = math.inf
    step: float = 0.0
    framing: Framing = COVER


START = Excerpt()
"""The spec's window at the beginning of the example."""


class Symptom(NamedTuple):
    """A condition of a sensor's stream as of one sample.

    Attributes:
        finding: how it is reported.
        holds: whether the condition holds.
        seconds: how long it must hold to be a fault; 0: at once.
        clears: whether the first sample for which it does not hold clears the fault.
    """

    finding: str
    holds: bool
    seconds: float = 0.0
    clears: bool = False


class Checks:
    """The health checks of one open sensor that depend on its kind; of captions there is none."""

    def examine(self, sample: Sample, last: Sample | None) -> Iterator[Symptom]:  # noqa: ARG002
        """Yield the symptoms of a sample; `last` is the one before it, None after a cut."""
        yield from ()

    def count(self, sample: Sample) -> int:
        """Return how much of the spec's rate a sample stands for, lost ones included."""
        return 1 + sample.lost

    def rate(self, rates: Sequence[float]) -> Symptom | None:  # noqa: ARG002
        """Judge the rates (Hz) measured by the samples' times and by their arrival; None: any will do."""
        return None


class TrackWriter(Protocol):
    """The track of one modality in a media file that is being written.

    Attributes:
        begin: when its first sample begins, in seconds.
    """

    begin: float

    def write(self, start: float) -> None:
        """Encode all samples into the file, whose beginning is `start`."""


class TrackReader(Protocol):
    """The samples of one modality of a recorded segment, in order."""

    def take(self, line: Fields) -> Media | str | None:
        """Return the data of the sample that `line` describes; None where the file holds no more."""


class Converter:
    """Brings recorded samples to the form of a spec; by default they have it already."""

    def convert(self, sample: Sample, form: tuple[int, ...]) -> Iterator[Sample]:  # noqa: ARG002
        """Yield a sample of `form` (`Kind.form`) in the spec's, after the rest of what came before a cut."""
        yield sample

    def rest(self) -> Iterator[Sample]:
        """Yield the samples that wait for more of their stream."""
        yield from ()


class Kind(ABC):
    """A sort of modality, such as sound; one instance serves all modalities of the kind.

    Attributes:
        name: of the kind, as `InputSpec.kind` has it.
        noun: a sample, in messages.
        dtype: of a window.
        rank: how many dimensions a window has.
        steady: samples come all the time, so a pause is a fault; otherwise each comes when it comes.
        continuous: a lost sample leaves a hole, which no window spans.
        tokenized: samples are texts, of which the tokenizer makes windows, and the dataset holds them; for
            other kinds the dataset names media files.
        partner: the kind whose stream this one must not drift from; empty for none.
        track: FFmpeg's type of its track in a media file; empty where it has none.
        slots: how many samples wait in shared memory.
        form_limits: the largest value of each number of `form`.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    dtype: ClassVar[DType]
    rank: ClassVar[int]
    steady: ClassVar[bool] = True
    continuous: ClassVar[bool] = False
    tokenized: ClassVar[bool] = False
    partner: ClassVar[str] = ""
    track: ClassVar[str] = ""
    slots: ClassVar[int]
    form_limits: ClassVar[tuple[int, ...]] = ()

    # Samples and windows.

    def spec_problems(self, spec: InputSpec) -> Iterator[str]:
        """Yield what is wrong with a spec of this kind."""
        if (
            (spec.dtype, len(spec.shape)) != (self.dtype, self.rank)
            or spec.shape[0] != 1
            or min(spec.shape) < 1
        ):
            yield (
                f"expected {self.dtype} of {self.rank} dimensions, the first 1, "
                f"got {spec.dtype} {list(spec.shape)}"
            )
            return
        yield from self._shape_problems(spec)
        if not 0 < spec.ttl <= _TTL:
            yield f"expected a ttl above 0 s and up to {_TTL:g} s, got {spec.ttl:g}"
        yield from self._time_problems(spec)

    def _shape_problems(self, spec: InputSpec) -> Iterator[str]:  # noqa: ARG002
        yield from ()

    def _time_problems(self, spec: InputSpec) -> Iterator[str]:
        """Yield what is wrong with the rate, the window and the hop, and with the shape that follows."""
        if not (0 < spec.rate <= _RATE and 0 < spec.window <= _WINDOW and _HOP[0] <= spec.hop <= _HOP[1]):
            yield (
                f"expected a rate above 0 and up to {_RATE:g} Hz, a window above 0 and up to {_WINDOW:g} s, "
                f"a hop of {_HOP[0]:g} to {_HOP[1]:g} s, got {spec.rate:g}, {spec.window:g} and {spec.hop:g}"
            )
        elif spec.shape[1] != round(spec.rate * spec.window):
            yield (
                f"expected {spec.rate:g} Hz x {spec.window:g} s in the second dimension, "
                f"got {list(spec.shape)}"
            )
        if math.prod(spec.shape) > _ELEMENTS or spec.rate * spec.hop > _ELEMENTS:
            yield f"expected at most {_ELEMENTS} elements in a window or a hop, got {list(spec.shape)}"

    @abstractmethod
    def windows(self, spec: InputSpec) -> Windows:
        """Return an empty ring that makes windows of samples."""

    @abstractmethod
    def sketch(self, data: Media | str) -> NDArray[np.float32] | str:
        """Return the part of a window that is compared to find a change; small and quick to compute."""

    @abstractmethod
    def change(self, before: NDArray[np.float32] | str, after: NDArray[np.float32] | str) -> float:
        """Return how far two sketches are apart, 0 for equal ones; the kind states the unit."""

    # A sensor's health.

    def checks(self, spec: InputSpec, limits: Thresholds) -> Checks:  # noqa: ARG002
        """Return the checks of a sensor that was just opened."""
        return Checks()

    # A sample's slot in shared memory.

    @abstractmethod
    def slot_size(self, spec: InputSpec) -> int:
        """Return how many bytes of data a slot has."""

    @abstractmethod
    def pack(self, data: Media | str, spec: InputSpec) -> NDArray[np.uint8]:
        """Return a sample's data as bytes.

        Raises:
            ValueError: it is not of the spec's form.
        """

    @abstractmethod
    def unpack(self, data: NDArray[np.uint8], spec: InputSpec) -> Media | str:
        """Return the data that `pack` made bytes of."""

    # A dataset's example.

    def fields(self, modality: str) -> tuple[str, ...]:
        """Return the fields of the index for `modality`, of which an example has one at most."""
        return (modality,)

    def files(self, source: Source, modality: str) -> list[Path]:
        """Return the files of an example that last some time."""
        file = source.given(modality)
        return [file] if isinstance(file, Path) else []

    def strided(self, spec: InputSpec) -> int:  # noqa: ARG002
        """Return how many frames a stride lies between; 0 for a kind without frames."""
        return 0

    @abstractmethod
    def window(self, source: Source, spec: InputSpec, excerpt: Excerpt = START) -> Media | str:
        """Return what an encoder sees of an example: an array of exactly `spec.shape`, or a text.

        Raises:
            BadDataError: the file is unreadable, has no such track, or ends before the excerpt.
        """

    @abstractmethod
    def samples(self, source: Source, spec: InputSpec, end: float) -> Iterator[Sample]:
        """Yield the window of an example as a device would have given it, complete at `end`.

        Raises:
            BadDataError: as `window`.
        """

    def check(self, source: Source, modality: str) -> None:  # noqa: B027
        """Decode the beginning of an example's file.

        Raises:
            BadDataError: it cannot be decoded.
        """

    def play(self, path: Path, spec: InputSpec, origin: float) -> Iterator[Sample]:
        """Yield the track of a media file that begins at `origin`, as a device would have given it."""
        raise NotImplementedError

    # A recording.

    def form(self, spec: InputSpec) -> tuple[int, ...]:  # noqa: ARG002
        """Return the numbers that all samples of a recording share, such as a sample rate."""
        return ()

    def form_of(self, data: Media | str, asked: tuple[int, ...]) -> tuple[int, ...]:  # noqa: ARG002
        """Return the form of a sample, of which `asked` is what the recording was asked for."""
        return asked

    def worded(self, form: tuple[int, ...]) -> str:
        """Return a form in words, such as `128 x 128`."""
        return " x ".join(map(str, form))

    @abstractmethod
    def describe(self, data: Media | str) -> dict[str, Any]:
        """Return the fields of a sample's line in a segment."""

    def track_writer(
        self, container: "OutputContainer", samples: Sequence[Sample], form: tuple[int, ...]
    ) -> TrackWriter:
        """Add a lossless track for `samples`, in the order of their times, to a media file."""
        raise NotImplementedError

    @abstractmethod
    def track_reader(self, path: Path | None, form: tuple[int, ...]) -> TrackReader:
        """Return the reader of a segment's samples; `path` is the media file, None where there is none."""

    def converter(self, spec: InputSpec) -> Converter:  # noqa: ARG002
        """Return a converter of recorded samples to the form of `spec`."""
        return Converter()


def described(data: object) -> str:
    """Return the form of a sample's data, for a message."""
    return f"{data.dtype} {list(data.shape)}" if isinstance(data, np.ndarray) else type(data).__name__
