"""The reliability of an audit as a table: what confidence, sure answers and candidates are worth."""

from rich.table import Table
from sensemble_runtime.auditing.audit import AuditResult

from sensemble_apps.console.wording import percent

_COLUMNS = ("confidence", "unsure", "right if sure", "covered", "ECE", "by chance", "before")
_CAPTION = (
    "covered: the candidates hold the truth; ECE: expected calibration error, the gap between confidence and "
    "accuracy, in points; by chance: that of a perfectly calibrated classifier on as many examples; before: "
    "without the temperatures"
)


def table(result: AuditResult) -> Table:
    """Return a row for each subset."""
    made = Table(title="What the answers are worth, %", title_justify="left", box=None)
    made.add_column("live", overflow="fold")
    for column in _COLUMNS:
        made.add_column(column, justify="right")
    for name, found in result.reliability.items():
        shares = (found.confidence, found.unsure, found.sure_right, found.covered)
        errors = (found.calibration_error, found.chance_error, found.uncalibrated_error)
        made.add_row(name, *(percent(share) for share in (*shares, *errors)))
    made.caption, made.caption_justify = _CAPTION, "left"
    if result.unfamiliar:
        shares_of = ", ".join(f"{m} {percent(share)}" for m, share in result.unfamiliar.items())
        made.caption += f"; windows unlike those of training, %: {shares_of}"
    return made
