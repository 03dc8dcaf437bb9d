"""The objects that a kind's methods take and return."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from sensemble_sensors.codecs.framing import COVER, Framing
from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Media, Sample


class Source(Protocol):
    """The part of a dataset example that a kind reads; see `media.dataset.Example`."""

    @property
    def start(self) -> float | None:
        """Seconds within its files at which the example begins; None for their beginning."""

    @property
    def end(self) -> float | None:
        """Seconds within its files at which the example ends; None for their end."""

    def value(self, field: str) -> Path | str | None:
        """Return the value of a field of the dataset, a file or a text; None where it is absent."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The part of an example that a window is decoded from."""

    at: float = 0.0  # seconds from the example's start to the window's
    span: float = math.inf  # seconds of sound at most; infinite for the spec's window
    step: float = 0.0  # seconds from one frame to the next; 0 for the spec's rate
    framing: Framing = COVER


CHECKED = 8.0  # seconds of an example that are checked, as long as the longest window that training fits
START = Excerpt()  # the spec's window at the beginning of the example


class Symptom(NamedTuple):
    """A sign of a fault in a sensor's stream as of one sample."""

    finding: str  # the fault, in words
    holds: bool
    seconds: float = 0.0  # for which it must hold to be a fault
    clears: bool = False  # the first sample for which it does not hold clears the fault


class Checks:
    """The health checks of one open sensor that depend on its kind; captions have none."""

    def examine(self, sample: Sample, last: Sample | None) -> Iterator[Symptom]:  # noqa: ARG002
        """Yield the symptoms of a sample; `last` is the one before it, None after a cut."""
        yield from ()

    def count(self, sample: Sample) -> int:
        """Return how much of the spec's rate a sample stands for, lost ones included."""
        return 1 + sample.lost

    def rate(self, rates: Sequence[float]) -> Symptom | None:  # noqa: ARG002
        """Judge the rates (Hz) by the samples' times and by their arrival; None if any rate will do."""
        return None


class TrackWriter(NamedTuple):
    """One modality's track of a media file that is being written."""

    begin: float  # when its first sample begins, in seconds
    write: Callable[[float], None]  # encodes all samples into the file, which begins at its argument


# Returns the data of the sample that a line of a segment describes, in order; None at the file's end.
TrackReader = Callable[[Fields], Media | str | None]


class Converter:
    """Brings recorded samples to the form of a spec; by default they have it already."""

    def convert(self, sample: Sample, form: tuple[int, ...]) -> Iterator[Sample]:  # noqa: ARG002
        """Yield a sample of `form` (`Kind.form`) in the spec's, after the rest of what came before a cut."""
        yield sample

    def rest(self) -> Iterator[Sample]:
        """Yield the samples that wait for more of their stream."""
        yield from ()
