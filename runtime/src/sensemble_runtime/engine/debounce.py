"""Debounced states of modalities: an event reports a state only once it has lasted."""

import math
from collections.abc import Collection

DEBOUNCE = 2.0  # seconds for which a state must last before it is reported: one window proves nothing


class Debounced:
    """The modalities in a state now, and those reported to be. Times are given."""

    def __init__(self) -> None:
        self._now: set[str] = set()
        self._reported: set[str] = set()
        self._since: dict[str, float] = {}  # when the newest windows began to differ from what was reported

    def note(self, modality: str, time: float, *, on: bool) -> None:
        """Note whether a window that ended at `time` is in the state."""
        (self._now.add if on else self._now.discard)(modality)
        if on == (modality in self._reported):
            self._since.pop(modality, None)
        else:
            self._since.setdefault(modality, time)

    def forget(self, modality: str) -> None:
        """Forget a modality whose sensor left."""
        self._now.discard(modality)
        if modality in self._reported:
            self._since[modality] = -math.inf
        else:
            self._since.pop(modality, None)

    def newest(self, modalities: Collection[str]) -> tuple[str, ...]:
        """Return those of `modalities` whose newest window is in the state."""
        return tuple(m for m in modalities if m in self._now)

    def reported(self, modalities: Collection[str]) -> tuple[str, ...]:
        """Return those of `modalities` last reported to be in the state."""
        return tuple(m for m in modalities if m in self._reported)

    def changes(self, now: float) -> list[tuple[str, bool]]:
        """Return each modality whose state has changed for long enough, and whether the state is over."""
        turned = sorted(m for m, since in self._since.items() if now - since >= DEBOUNCE)
        for modality in turned:
            del self._since[modality]
        self._reported ^= set(turned)
        return [(m, m not in self._reported) for m in turned]
