"""The part of a dataset example that a kind decodes."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sensemble_sensors.codecs.framing import COVER, Framing


class ExampleFields(Protocol):
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


# The longest window that training fits (paper, Table 6), all that is checked of an example: seconds, or
# rows of a slow series.
LONGEST, LONGEST_ROWS = 8.0, 256
START = Excerpt()  # the spec's window at the beginning of the example
