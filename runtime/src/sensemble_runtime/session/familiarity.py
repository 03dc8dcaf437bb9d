"""The modalities whose newest window is unlike those that its encoder was trained on."""

import math
from collections.abc import Collection

from sensemble_runtime.bundle.judge import Judge
from sensemble_runtime.events import UnfamiliarEvent
from sensemble_runtime.executors.executor import Embedding

LASTING = 2.0
"""Seconds for which windows must stay unfamiliar, or familiar, before an event says so."""


class Familiarity:
    """The unfamiliar modalities; times are given.

    One window proves nothing: 5 % of known windows score low. A prediction leaves it out, but events, and the
    reported live set, wait for `LASTING` seconds.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._unfamiliar: set[str] = set()
        self._reported: set[str] = set()
        self._since: dict[str, float] = {}  # when the newest windows began to differ from the report

    def note(self, modality: str, embedding: Embedding, time: float) -> None:
        """Score a window that ended at `time` by its embedding, float32 [d] of length 1."""
        unfamiliar = not self._judge.are_familiar(modality, embedding)
        (self._unfamiliar.add if unfamiliar else self._unfamiliar.discard)(modality)
        if unfamiliar == (modality in self._reported):
            self._since.pop(modality, None)
        else:
            self._since.setdefault(modality, time)

    def forget(self, modality: str) -> None:
        """Forget a modality whose sensor left."""
        self._unfamiliar.discard(modality)
        if modality in self._reported:
            self._since[modality] = -math.inf
        else:
            self._since.pop(modality, None)

    def unfamiliar(self, modalities: Collection[str]) -> tuple[str, ...]:
        """Return those of `modalities` whose newest window is unfamiliar, in their order."""
        return tuple(m for m in modalities if m in self._unfamiliar) if self._unfamiliar else ()

    def lasting(self, modalities: Collection[str]) -> tuple[str, ...]:
        """Return those of `modalities` that were last reported as unfamiliar, in their order."""
        return tuple(m for m in modalities if m in self._reported) if self._reported else ()

    def changes(self, now: float) -> list[UnfamiliarEvent]:
        """Return an event for each modality that has become unfamiliar, or familiar, and stayed so."""
        turned = sorted(m for m, since in self._since.items() if now - since >= LASTING)
        for modality in turned:
            del self._since[modality]
        self._reported ^= set(turned)
        return [UnfamiliarEvent(now, m, over=m not in self._reported) for m in turned]
