"""The health checks of a kind, and the symptoms that they find."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sensemble_sensors.sensor import Sample


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
