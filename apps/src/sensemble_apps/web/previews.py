"""Draw the newest samples of a page's sensors, once for all viewers."""

import math
from collections.abc import Callable
from typing import Any

from sensemble_apps.console.kinds import kind_of
from sensemble_apps.web.page_sensors import PageSensors

Until = Callable[[str], float]
"""Returns the time of the last sample of a modality that is shown."""


def always(_: str) -> float:
    """Show every sample."""
    return math.inf


class Previews:
    """Draws the newest samples of a page's sensors on demand."""

    def __init__(self, sensors: PageSensors) -> None:
        self._sensors = sensors
        self._drawn: dict[str, tuple[int, dict[str, Any]]] = {}  # by name, with the number of the last sample

    def new(self, known: dict[str, int], until: Until = always) -> dict[str, dict[str, Any]]:
        """Return the previews of sensors with samples after the `known` numbers, and update these.

        The samples of a modality are shown up to `until`, in seconds of the session's clock.
        """
        previews = {}
        for sensor in self._sensors.all:
            newest = tuple(sensor.newest)
            shown = [sample for sample in newest if sample.time <= until(sensor.modality)]
            number = sensor.count - (len(newest) - len(shown))
            if not shown or number == known.get(sensor.name):
                continue
            drawn, preview = self._drawn.get(sensor.name, (-1, {}))
            if drawn != number:
                spec = self._sensors.specs[sensor.modality]
                preview = kind_of(spec).preview(shown, spec.rate)
                self._drawn[sensor.name] = number, preview
            known[sensor.name] = number
            previews[sensor.name] = preview
        return previews

    def forget(self, names: set[str]) -> None:
        """Forget all sensors but those of `names`."""
        self._drawn = {name: drawn for name, drawn in self._drawn.items() if name in names}
