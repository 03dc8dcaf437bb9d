"""The tracks of a recording: their writers and readers, and what brings their samples to a spec's form."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sensemble_sensors.lines import Fields
from sensemble_sensors.sensor import Media, Sample


class TrackWriter(NamedTuple):
    """One modality's track of a media file that is being written."""

    begin: float  # when its first sample begins, in seconds
    write: Callable[[float], None]  # encodes all samples into the file, which begins at its argument


# Returns the data of the sample that a line of a segment describes, in order; None at the file's end.
TrackReader = Callable[[Fields], Media | str | None]


class Converter:
    """Brings recorded samples to the form of a spec; by default each by itself, with `fit`."""

    def __init__(self, fit: Callable[[Sample], Sample]) -> None:
        self._fit = fit

    def convert(self, sample: Sample, form: tuple[int, ...]) -> Iterator[Sample]:  # noqa: ARG002
        """Yield a sample of `form` (`Kind.form`) in the spec's, after the rest of what came before a cut."""
        yield self._fit(sample)

    def rest(self) -> Iterator[Sample]:
        """Yield the samples that wait for more of their stream."""
        yield from ()
