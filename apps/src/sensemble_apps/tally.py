"""What a run came to: how old its predictions were, what was dropped and saved, and how right it was."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from sensemble_apps.stream import News, Said


class _Total:
    """Adds up counts by modality that begin anew whenever the modality comes back."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def add(self, counts: dict[str, int]) -> None:
        for modality, count in counts.items():
            last = self._last.get(modality, 0)
            new = count - last if count >= last else count
            self.counts[modality] = self.counts.get(modality, 0) + new
        self._last = counts


class Tally:
    """Counts what a stream tells.

    Args:
        labels: of the bundle.
        virtual: the stream's time is made up, so it says nothing about ages.
    """

    def __init__(self, labels: Sequence[str], *, virtual: bool) -> None:
        self._labels = labels
        self._virtual = virtual
        self._ages: list[float] = []
        self._encoded: Counter[str] = Counter()
        self._dropped = _Total()
        self._skipped = _Total()
        self._lost = _Total()
        self._right: list[bool] = []

    def add(self, news: News) -> None:
        """Count a prediction."""
        if not isinstance(news, Said):
            return
        prediction = news.prediction
        self._ages += [prediction.ages[m] for m in prediction.latencies if m in prediction.ages]
        self._encoded.update(prediction.latencies.keys())
        self._dropped.add(prediction.dropped)
        self._skipped.add(prediction.skipped)
        self._lost.add(prediction.lost)
        if news.example is not None and news.example.labels:
            self._right.append(self._labels[int(prediction.probabilities.argmax())] in news.example.labels)

    @property
    def lines(self) -> list[str]:
        """What there is to say, a line each."""
        lines = []
        if self._ages and not self._virtual:
            median, late = np.percentile(self._ages, (50, 99)) * 1e3
            lines.append(f"from capture to prediction: median {median:.1f} ms, p99 {late:.1f} ms")
        encoded, dropped = sum(self._encoded.values()), sum(self._dropped.counts.values())
        if encoded:
            lines.append(f"{encoded} windows encoded, {dropped} dropped for newer ones")
        if lost := ", ".join(f"{n} of {m}" for m, n in sorted(self._lost.counts.items()) if n):
            lines.append(f"samples that were lost, for nobody read them in time: {lost}")
        if self._skipped.counts:
            lines.append(f"the duty saved {self._saved}")
        if self._right:
            lines.append(f"right in {sum(self._right)} of {len(self._right)} labelled predictions")
        return lines

    def cost(self, other: "Tally") -> str:
        """Return what the duty cost, `other` being the same stream without it."""
        mine, theirs = (sum(tally._right) for tally in (self, other))  # noqa: SLF001 - another of its kind
        return f"without the duty, {theirs} would have been right: it cost {theirs - mine}"

    @property
    def _saved(self) -> str:
        each = (f"{m} {n} of {n + self._encoded[m]}" for m, n in sorted(self._skipped.counts.items()))
        return f"these encodings: {', '.join(each)}"
