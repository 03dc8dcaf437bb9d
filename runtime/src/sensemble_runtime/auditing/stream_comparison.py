"""Two audits of streams compared: what each set of sensors finds, and tells that is not there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sensemble_runtime.auditing.comparison import ALPHA, holm
from sensemble_runtime.errors import ComparisonError
from sensemble_runtime.scores import Estimate, StreamScore


@dataclass(frozen=True, slots=True)
class StreamChange:
    """The scores of a set of sensors in both audits, maybe under a condition."""

    before: StreamScore
    after: StreamScore
    found: Estimate | None  # the share found in B less that in A; None without a span
    p: float  # of equally many false events, adjusted for the number of sets (Holm)

    @property
    def better(self) -> bool:
        """True if B finds more, or tells less that is false, than chance explains, and neither is worse."""
        return self._differs(1)

    @property
    def worse(self) -> bool:
        """True if B finds less, or tells more that is false, than chance explains, and neither is better."""
        return self._differs(-1)

    def _differs(self, sign: int) -> bool:
        found, false = 0, 0
        if self.found is not None and not self.found.low <= 0 <= self.found.high:
            found = 1 if self.found.value > 0 else -1
        if self.p < ALPHA:
            false = 1 if self.after.false < self.before.false else -1
        return sign in (found, false) and -sign not in (found, false)


def compare_streams(a: Sequence[StreamScore], b: Sequence[StreamScore]) -> list[StreamChange]:
    """Return the scores of two audits of the same streams beside each other, by what both have.

    The interval of what is found is Newcombe's (1998, method 10), of Wilson's: it takes the spans for others
    in B than in A, and is too wide rather than too narrow. False events are compared by the exact test of two
    Poisson counts (Przyborowski and Wilenski, 1940).

    Raises ComparisonError if they have no set in common, or are of other streams.
    """
    known = {(one.subset, one.condition): one for one in a}
    pairs = [(known[key], one) for one in b if (key := (one.subset, one.condition)) in known]
    if not pairs:
        raise ComparisonError("the two audits of streams have no set of sensors in common")
    for before, after in pairs:
        if (before.spans, round(before.hours, 6)) != (after.spans, round(after.hours, 6)):
            raise ComparisonError(
                f"the streams are others: {before.hours:.3g} hours with {before.spans} spans in A, "
                f"{after.hours:.3g} with {after.spans} in B; audit both on one data set"
            )
    ps = holm([equally_false(before.false, after.false) for before, after in pairs])
    return [StreamChange(*pair, _found(*pair), p) for pair, p in zip(pairs, ps, strict=True)]


def equally_false(before: int, after: int) -> float:
    """Return the p of two counts of the same time being of one rate: a fair coin's, of their sum."""
    count, ways = before + after, 1
    tail = ways
    for k in range(min(before, after)):
        ways = ways * (count - k) // (k + 1)
        tail += ways
    return float(min(1.0, 2 * tail / 2**count))


def _found(before: StreamScore, after: StreamScore) -> Estimate | None:
    if before.found is None or after.found is None:
        return None
    if before == after:
        return Estimate(0.0, 0.0, 0.0)
    change = after.found - before.found
    down = math.hypot(after.found - after.found_low, before.found_high - before.found)
    up = math.hypot(after.found_high - after.found, before.found - before.found_low)
    return Estimate(change, change - down, change + up)
