"""Tasks in processes that end with the block that uses them, and with the process that made them."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import TypeVar

_SAFE_PATH = "PYTHONSAFEPATH"
Given = TypeVar("Given")
Made = TypeVar("Made")


@contextmanager
def submitted(task: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[list[Future[Made]]]:
    """Yield what new processes, one per core, make of each of `given`.

    They end at once if the block raises or this process is killed; a pool alone would first finish what runs,
    and its processes would outlive a killed one. Unlike `map`, this cancels nothing: a pool with cancelled
    tasks that breaks hangs when Python ends.
    """
    context = get_context("spawn")
    lives, held = context.Pipe(duplex=False)
    with _safe_path(), ProcessPoolExecutor(os.cpu_count(), context, _end_with, (lives,)) as pool:
        try:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which the processes inherit
            try:
                futures = [pool.submit(task, each) for each in given]
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            yield futures
        except BaseException:
            held.close()
            raise


@contextmanager
def _safe_path() -> Iterator[None]:
    """Start processes without the current folder in `sys.path`, as by `-P`, which a pool cannot give."""
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[_SAFE_PATH]
        if before is not None:
            os.environ[_SAFE_PATH] = before


def _end_with(lives: Connection) -> None:
    def end() -> None:
        lives.poll(None)
        os._exit(1)

    Thread(target=end, daemon=True).start()
