"""Draw the newest samples of a page's sensors, once for all viewers."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from sensemble_sensors.sensor import Sample

from sensemble_apps.console.kinds import kind_of
from sensemble_apps.web.switchboard import Switchboard, Tap

Until = Callable[[str], float]
"""Returns the time of the last sample of a modality that is shown."""


def always(_: str) -> float:
    """Show every sample."""
    return math.inf


class Previews:
    """Draws the newest samples of a switchboard's sensors on demand."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._drawn: dict[str, tuple[int, dict[str, Any]]] = {}  # by name, with the number of the last sample

    def has_news(self, known: dict[str, int], until: Until = always) -> bool:
        """Return whether a sensor has samples after the `known` numbers; see `new`."""
        return any(True for _ in self._news(known, until))

    def new(self, known: dict[str, int], until: Until = always) -> dict[str, dict[str, Any]]:
        """Return the previews of sensors with samples after the `known` numbers, and update these.

        The samples of a modality are shown up to `until`, in seconds of the session's clock.
        """
        previews = {}
        for tap, number, samples in self._news(known, until):
            drawn, preview = self._drawn.get(tap.name, (-1, {}))
            if drawn != number:
                spec = self._switchboard.specs[tap.modality]
                preview = kind_of(spec).preview(samples, spec.rate)
                self._drawn[tap.name] = number, preview
            known[tap.name] = number
            previews[tap.name] = preview
        return previews

    def forget(self, names: set[str]) -> None:
        """Forget all sensors but those of `names`."""
        self._drawn = {name: drawn for name, drawn in self._drawn.items() if name in names}

    def _news(self, known: dict[str, int], until: Until) -> Iterator[tuple[Tap, int, tuple[Sample, ...]]]:
        for tap in self._switchboard.taps:
            last, number, newest = until(tap.modality), tap.count, tuple(tap.newest)
            shown = tuple(sample for sample in newest if sample.time <= last)
            number -= len(newest) - len(shown)
            if shown and number != known.get(tap.name):
                yield tap, number, shown
