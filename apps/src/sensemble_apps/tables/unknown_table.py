"""An audit's scores against the unknown, as a table."""

from collections.abc import Sequence

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.scores import KNOWN, UnknownScore

from sensemble_apps.console.columns import table
from sensemble_apps.console.wording import percent, set_title

COLUMNS = ("sure", "sure, wrong", "unfamiliar", "of one", "AUROC", "windows")
CAPTION = (
    "unfamiliar: without a familiar window; of one: the same for the person or group with the most; AUROC: "
    "how well the confidence tells known windows from these, 50 by chance. In the rows known, unfamiliar is "
    "the price: the share of known windows that is left out"
)


def cells(score: UnknownScore) -> tuple[str, ...]:
    """Return the cells of a row, in the order of `COLUMNS`."""
    shares = (score.sure, score.sure_wrong, score.unfamiliar, score.of_one, score.auroc)
    return (*(percent(share, 0) for share in shares), str(score.n))


def title(score: UnknownScore) -> str:
    """Return the shown input in words."""
    return score.effect if score.name in (KNOWN, score.effect) else f"{score.name}: {score.effect}"


def unknown(scores: Sequence[UnknownScore]) -> Table:
    """Return a row for each sort of windows and each set of sensors."""
    effects = dict.fromkeys(title(score) for score in scores if score.name != KNOWN)
    caption = "; ".join([*effects, CAPTION])
    drawn = table(("shown", "live"), COLUMNS, "What it cannot know, %", caption)
    for score in scores:
        live, style = set_title(subsets.parse(score.subset)), "dim" if score.name == KNOWN else ""
        drawn.add_row(score.name, live, *cells(score), style=style)
    return drawn
