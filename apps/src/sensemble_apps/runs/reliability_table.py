"""The reliability of an audit, in a table and in words: what confidence and candidates are worth."""

from collections.abc import Iterator

from rich.table import Table
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.auditing.reliability import Reliability
from sensemble_runtime.subsets import Subset, SubsetScore

from sensemble_apps.console import estimates
from sensemble_apps.console.wording import percent, words

_COLUMNS = ("right", "confidence", "unsure", "right if sure", "covered", "ECE", "by chance")
_CAPTION = (
    "covered: the candidates hold the truth; ECE: expected calibration error, the gap between confidence and "
    "accuracy, in points; by chance: that of a perfectly calibrated classifier on as many examples"
)


def table(result: AuditResult) -> Table:
    """Return a row for each subset."""
    made = Table(title="What the answers are worth, %", title_justify="left", box=None)
    made.add_column("live", overflow="fold")
    for column in _COLUMNS:
        made.add_column(column, justify="right")
    for name, found in result.reliability.items():
        shares = (found.accuracy, found.confidence, found.unsure, found.sure_right, found.covered)
        errors = (found.calibration_error, found.chance_error)
        made.add_row(name, *(percent(share) for share in (*shares, *errors)))
    made.caption, made.caption_justify = _CAPTION, "left"
    if result.unfamiliar:
        shares_of = ", ".join(f"{m} {percent(share)}" for m, share in result.unfamiliar.items())
        made.caption += f"; windows unlike those of training, which are left out, %: {shares_of}"
    return made


def doubts(subset: Subset, right: SubsetScore, found: Reliability, promised: float) -> Iterator[str]:
    """Yield sentences if a set's confidence is off, and if its candidates hold the truth too rarely.

    `right` is how often the most probable class is right, `promised` how often candidates hold the truth.
    """
    live = f"With {words(subset)}{' alone' if len(subset) == 1 else ''},"
    if not right.low <= found.confidence <= right.high:
        flaw = "too sure" if found.confidence > right.high else "too modest"
        said = estimates.percent_within(found.confidence, right)
        yield (
            f"{live} it is {flaw}: it says {said} % on average, and is right in "
            f"{estimates.number(right.accuracy, right)} of the examples."
        )
    low, high = wilson(found.covered * right.n, right.n)
    if round(high, 2) < promised:  # not by less than the page shows
        held = SubsetScore(found.covered, right.n, low, high)
        yield (
            f"{live} its candidates hold the truth in {estimates.number(held.accuracy, held)} of the "
            f"examples, not in {percent(promised, 0)} % as promised."
        )
