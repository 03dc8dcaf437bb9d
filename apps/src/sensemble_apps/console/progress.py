"""Show progress bars and the status line on standard error: standard output is for results."""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from threading import Event, Thread

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from sensemble_sensors.clock import REAL, Clock

from sensemble_apps.console.output import remark, say_json

_EVERY = 0.2  # seconds between two lines of JSON, except at a stage's beginning and end
_MINUTE = 60.0  # seconds between two lines in a log
_COLUMNS = (
    TextColumn("  {task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TimeRemainingColumn(),
)


@contextmanager
def stages(*, in_json: bool = False, clock: Clock = REAL) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar per stage while the block runs; yield a function to call with (stage, done, total).

    With `in_json`, write `{"stage", "done", "total"}` to standard output instead, a few times a second. If
    standard error is no terminal, write a line to it each minute.
    """
    if in_json:
        yield _in_json(clock)
        return
    if not Console(stderr=True).is_terminal:
        with _in_a_log(clock) as advance:
            yield advance
        return
    bars = Progress(*_COLUMNS, console=Console(stderr=True))
    tasks: dict[str, TaskID] = {}
    with ExitStack() as stack:

        def advance(stage: str, done: int, total: int) -> None:
            if not tasks:
                stack.enter_context(bars)  # only now: where nothing is done, nothing is drawn
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage)
            bars.update(tasks[stage], completed=done, total=total)

        yield advance


@contextmanager
def _in_a_log(clock: Clock) -> Iterator[Callable[[str, int, int], None]]:
    """Write each minute the stages under way, their share and their time left, also within a long step."""
    now, over = dict[str, tuple[int, int, float]](), Event()  # stage -> done, total, when it began

    def advance(stage: str, done: int, total: int) -> None:
        before, _, began = now.pop(stage, (done + 1, 0, 0.0))
        now[stage] = done, total, began if before <= done else clock.now()

    def write() -> None:
        while not clock.wait(over, _MINUTE):
            stages = list(now.items())
            under_way = [
                _line(stage, *reached, clock.now()) for stage, reached in stages if reached[0] < reached[1]
            ]
            for line in under_way or [f"after {stage}: still at work" for stage, _ in stages[-1:]]:
                remark(line)

    writer = Thread(target=write, daemon=True)
    writer.start()
    try:
        yield advance
    finally:
        over.set()
        writer.join()  # or a line would follow the end


def _line(stage: str, done: int, total: int, began: float, now: float) -> str:
    left = f", {timedelta(seconds=round((now - began) * (total - done) / done))} left" if done else ""
    return f"{stage}: {done / total:.0%}{left}"


def _in_json(clock: Clock) -> Callable[[str, int, int], None]:
    written = -math.inf, ""

    def advance(stage: str, done: int, total: int) -> None:
        nonlocal written
        now, (before, last) = clock.now(), written
        if stage != last or done >= total or now - before >= _EVERY:
            written = now, stage
            say_json({"stage": stage, "done": done, "total": total})

    return advance


@contextmanager
def progress(stage: str) -> Iterator[Callable[[int, int], None]]:
    """Show one bar while the block runs; yield a function to call with (done, total)."""
    with stages() as advance:
        yield partial(advance, stage)


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """Keep a line at the foot of the terminal while the block runs; yield a function to call with its text.

    Other text on standard error goes above the line. If standard error is not a terminal, nothing is shown.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    console = Console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as line:
        yield lambda text: line.update(Text(text, "dim", no_wrap=True, overflow="ellipsis"), refresh=True)
