"""An audit's scores against the unknown, as a table."""

from collections.abc import Sequence

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.scores import KNOWN, UnknownScore

from sensemble_apps.console.wording import percent, set_title

COLUMNS = ("sure", "sure, wrong", "unfamiliar", "of one", "AUROC", "windows")
CAPTION = (
    "unfamiliar: without a familiar window; of one: the same of the person or group with the most; AUROC: "
    "how well the confidence tells known windows from these, 50 by chance. In the rows known, unfamiliar is "
    "the price: windows of what was learned that are left out"
)


def cells(score: UnknownScore) -> tuple[str, ...]:
    """Return the cells of a row, in the order of `COLUMNS`."""
    shares = (score.sure, score.sure_wrong, score.unfamiliar, score.of_one, score.auroc)
    return (*(percent(share, 0) for share in shares), str(score.n))


def title(score: UnknownScore) -> str:
    """Return what was shown, in words."""
    return score.effect if score.name in (KNOWN, score.effect) else f"{score.name}: {score.effect}"


def table(scores: Sequence[UnknownScore]) -> Table:
    """Return a row for each sort of windows and each set of sensors."""
    drawn = Table(title="What it cannot know, %", title_justify="left", box=None)
    for column in ("shown", "live"):
        drawn.add_column(column, overflow="fold")
    for column in COLUMNS:
        drawn.add_column(column, justify="right")
    for score in scores:
        drawn.add_row(
            score.name,
            set_title(subsets.parse(score.subset)),
            *cells(score),
            style="dim" if score.name == KNOWN else "",
        )
    effects = dict.fromkeys(title(score) for score in scores if score.name != KNOWN)
    drawn.caption, drawn.caption_justify = "; ".join([*effects, CAPTION]), "left"
    return drawn
