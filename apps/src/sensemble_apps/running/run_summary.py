"""The summary of a run: ages of predictions, dropped and saved windows, right and unsure answers."""

from collections import Counter
from math import exp, log

from sensemble_apps.running.view_events import Change, Predicted, ViewEvent


class _Total:
    """Adds up counts by modality that restart at 0 whenever the modality comes back."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def add(self, counts: dict[str, int]) -> None:
        for modality, count in counts.items():
            last = self._last.get(modality, 0)
            new = count - last if count >= last else count
            self.counts[modality] = self.counts.get(modality, 0) + new
        self._last = counts


class _Histogram:
    """Counts numbers in bins 2 % wide, for percentiles within 1 % in bounded memory."""

    _BIN = log(1.02)
    _LEAST = 1e-5  # smaller numbers count as this

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()

    def __bool__(self) -> bool:
        return bool(self._bins)

    def add(self, number: float) -> None:
        self._bins[round(log(max(number, self._LEAST)) / self._BIN)] += 1

    def percentile(self, share: float) -> float:
        left = share / 100 * self._bins.total()
        for number in sorted(self._bins):
            left -= self._bins[number]
            if left <= 0:
                break
        return exp(number * self._BIN)


class RunSummary:
    """Sums up the predictions of a stream.

    Args:
        virtual: whether the stream's time is virtual, so that ages mean nothing.
    """

    def __init__(self, *, virtual: bool) -> None:
        self._virtual = virtual
        self._ages = _Histogram()
        self._encoded: Counter[str] = Counter()
        self._dropped = _Total()
        self._skipped = _Total()
        self._lost = _Total()
        self._opened = False  # whether a sensor was attached
        self._failed = False  # whether an encoder failed
        self._labelled = 0
        self._right = 0
        self._unsure = 0

    def add(self, event: ViewEvent) -> None:
        """Count a prediction, or note that a sensor was opened or an encoder failed."""
        if isinstance(event, Change):
            self._opened |= event.kind == "attached"
            self._failed |= event.kind == "encoder failed"
        if not isinstance(event, Predicted):
            return
        prediction = event.prediction
        for modality in prediction.latencies.keys() & prediction.ages.keys():
            self._ages.add(prediction.ages[modality])
        self._encoded.update(prediction.latencies.keys())
        self._dropped.add(prediction.dropped)
        self._skipped.add(prediction.skipped)
        self._lost.add(prediction.lost)
        if event.example is not None and event.example.labels:
            self._labelled += 1
            self._right += prediction.label in event.example.labels
            self._unsure += not prediction.sure

    @property
    def lines(self) -> list[str]:
        """The lines to print."""
        lines = []
        if self._ages and not self._virtual:
            median, late = (1e3 * self._ages.percentile(share) for share in (50, 99))
            lines.append(f"from capture to prediction: median {median:.1f} ms, p99 {late:.1f} ms")
        encoded, dropped = sum(self._encoded.values()), sum(self._dropped.counts.values())
        if encoded:
            lines.append(f"{encoded} windows encoded, {dropped} dropped for newer ones")
        elif self._opened and not self._failed:
            lines.append("nothing was predicted: no sensor gave as much as a window")
        if lost := ", ".join(f"{n} of {m}" for m, n in sorted(self._lost.counts.items()) if n):
            lines.append(f"samples lost because they were read too late: {lost}")
        if self._skipped.counts:
            lines.append(f"the duty saved {self._saved}")
        if self._labelled:
            wrong = self._labelled - self._right - self._unsure
            lines.append(
                f"right in {self._right} of {self._labelled} labelled predictions, "
                f"unsure in {self._unsure}, wrong in {wrong}"
            )
        return lines

    def cost(self, other: "RunSummary") -> str:
        """Write the cost of the duty; `other` sums up the same stream without it."""
        theirs = other._right  # noqa: SLF001 - another of its kind
        return f"without the duty, {theirs} would have been right: it cost {theirs - self._right}"

    @property
    def _saved(self) -> str:
        each = (f"{m} {n} of {n + self._encoded[m]}" for m, n in sorted(self._skipped.counts.items()))
        return f"these encodings: {', '.join(each)}"
