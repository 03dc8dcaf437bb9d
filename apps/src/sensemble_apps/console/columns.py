"""Tables for a terminal."""

from collections.abc import Sequence

from rich.table import Table


def table(
    words: Sequence[str], numbers: Sequence[str], title: str = "", caption: str = "", *, whole: bool = False
) -> Table:
    """Return an empty table; words are folded where it is narrow, and `whole` numbers never."""
    drawn = Table(title=title, title_justify="left", caption=caption, caption_justify="left", box=None)
    for column in words:
        drawn.add_column(column, overflow="fold")  # cut short, sets of sensors would look alike
    for column in numbers:
        drawn.add_column(column, justify="right", no_wrap=whole)
    return drawn
