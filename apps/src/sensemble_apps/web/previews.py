"""The newest samples of a page's sensors, drawn once for all who look."""

from collections.abc import Iterator
from typing import Any

from sensemble_apps.console.kinds import kind_of
from sensemble_apps.web.switchboard import Switchboard, Tap


class Previews:
    """Draws what the sensors of a switchboard gave last, when somebody looks.

    Args:
        switchboard: of the sensors.
    """

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._drawn: dict[str, tuple[int, dict[str, Any]]] = {}  # by name, with the tap's count

    def has_news(self, known: dict[str, int]) -> bool:
        """Return whether a sensor has given something since the `known` counts."""
        return any(True for _ in self._news(known))

    def new(self, known: dict[str, int]) -> dict[str, dict[str, Any]]:
        """Return the preview of each sensor that has news, by its name, and count it as `known`."""
        found = {}
        for tap in self._news(known):
            number, samples = tap.count, tuple(tap.newest)
            if not samples:  # it was closed meanwhile
                continue
            drawn, preview = self._drawn.get(tap.name, (-1, {}))
            if drawn != number:
                spec = self._switchboard.specs[tap.modality]
                preview = kind_of(tap.modality).preview(samples, spec.rate)
                self._drawn[tap.name] = number, preview
            known[tap.name] = number
            found[tap.name] = preview
        return found

    def forget(self, names: set[str]) -> None:
        """Forget all sensors but those of `names`."""
        self._drawn = {name: drawn for name, drawn in self._drawn.items() if name in names}

    def _news(self, known: dict[str, int]) -> Iterator[Tap]:
        return (tap for tap in self._switchboard.taps if tap.newest and tap.count != known.get(tap.name))
