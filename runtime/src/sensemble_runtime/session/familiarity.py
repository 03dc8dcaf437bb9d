"""The time for which the windows of a modality have been unlike those that its encoder was trained on.

It has no thread and no clock: times are given, so equal input gives equal answers.
"""

from collections.abc import Iterable

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import UnfamiliarEvent
from sensemble_runtime.executors.executor import Embedding


class Familiarity:
    """Tells the modalities whose windows have been unfamiliar for a while, without a familiar one in between.

    A single unfamiliar window is no news: some of the known ones are. A modality is unfamiliar from `after`
    seconds after the first of an unbroken run of them, until the next familiar window. A bundle without
    scores of familiarity knows no unfamiliar window.

    Args:
        bundle: its head scores embeddings, its manifest has the thresholds.
        after: seconds.
    """

    def __init__(self, bundle: Bundle, after: float) -> None:
        self._scores = bundle.head.familiarity
        self._rows = {modality: row for row, modality in enumerate(bundle.modalities)}
        self._thresholds = bundle.manifest.calibration.familiar
        self._specs = bundle.specs
        self._after = after
        self._since: dict[str, float] = {}  # the time of the first unfamiliar window of the present run
        self._last: dict[str, float] = {}
        self._reported: set[str] = set()

    def note(self, modality: str, embedding: Embedding, time: float) -> None:
        """Score a window that ended at `time` by its embedding, float32 [d] of length 1."""
        if self._scores is None:
            return
        if time - self._last.get(modality, time) > self._specs[modality].ttl:  # another scene
            self._since.pop(modality, None)
        self._last[modality] = time
        if self._scores.score(self._rows[modality], embedding) < self._thresholds[modality]:
            self._since.setdefault(modality, time)
        else:
            self._since.pop(modality, None)

    def forget(self, modality: str) -> None:
        """Forget what was noted of a modality, whose sensor left."""
        self._since.pop(modality, None)
        self._last.pop(modality, None)

    def unfamiliar(self, modalities: Iterable[str], now: float) -> tuple[str, ...]:
        """Return those of `modalities` that are unfamiliar at `now`, in their order."""
        since = self._since
        return tuple(m for m in modalities if m in since and now - since[m] >= self._after) if since else ()

    def changes(self, now: float) -> list[UnfamiliarEvent]:
        """Return an event for each modality that became unfamiliar, or familiar, since the last call."""
        found = set(self.unfamiliar(self._since, now))
        events = [UnfamiliarEvent(now, m, over=m not in found) for m in sorted(found ^ self._reported)]
        self._reported = found
        return events
