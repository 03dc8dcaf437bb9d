"""Progress on standard error, so that standard output stays what the user asked for."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

_COLUMNS = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar a stage while the block runs; give a function to call with (stage, done, in all)."""
    bars = Progress(*_COLUMNS, console=Console(stderr=True))
    tasks: dict[str, TaskID] = {}
    with ExitStack() as stack:

        def advance(stage: str, done: int, total: int) -> None:
            if not tasks:
                stack.enter_context(bars)  # not before: where nothing is done, nothing is drawn
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance


@contextmanager
def progress(stage: str) -> Iterator[Callable[[int, int], None]]:
    """Show one bar while the block runs; give a function to call with (done, in all)."""
    with stages() as advance:
        yield partial(advance, stage)


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """Keep a line at the foot of the terminal while the block runs; give a function to call with its text.

    What is written to standard error meanwhile goes above it. Where that is no terminal, nothing is shown.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    console = Console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as line:
        yield lambda text: line.update(Text(text, "dim", no_wrap=True, overflow="ellipsis"), refresh=True)
