"""Debounced states of modalities: an event reports a state only once it has lasted."""

import math
from collections.abc import Collection

DEBOUNCE = 2.0  # seconds for which a state must last before it is reported: one window proves nothing


class Debounced:
    """The modalities in a state now, and those reported to be. Times are given.

    Attributes:
        reported: by modality that was last reported to be in the state, since when.
    """

    def __init__(self) -> None:
        self._now: set[str] = set()
        self.reported: dict[str, float] = {}  # since when
        self._since: dict[str, float] = {}  # when the newest windows began to differ from what was reported

    def note(self, modality: str, time: float, *, on: bool) -> None:
        """Note whether a window that ended at `time` is in the state."""
        (self._now.add if on else self._now.discard)(modality)
        if on == (modality in self.reported):
            self._since.pop(modality, None)
        else:
            self._since.setdefault(modality, time)

    def forget(self, modality: str) -> None:
        """Forget a modality whose sensor left."""
        self._now.discard(modality)
        if modality in self.reported:
            self._since[modality] = -math.inf
        else:
            self._since.pop(modality, None)

    def newest(self, modalities: Collection[str]) -> tuple[str, ...]:
        """Return those of `modalities` whose newest window is in the state."""
        return tuple(m for m in modalities if m in self._now)

    def changes(self, now: float) -> list[tuple[str, bool]]:
        """Return each modality whose state has changed for long enough, and whether the state is over."""
        turned = sorted(m for m, since in self._since.items() if now - since >= DEBOUNCE)
        for modality in turned:
            del self._since[modality]
            if self.reported.pop(modality, None) is None:
                self.reported[modality] = now
        return [(m, m not in self.reported) for m in turned]
