"""Progress bars on standard error, so that standard output stays what the user asked for."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

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
