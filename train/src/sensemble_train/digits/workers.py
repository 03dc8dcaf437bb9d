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
    with ProcessPoolExecutor(os.cpu_count(), context, _end_with, (lives,)) as pool:
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


def _end_with(lives: Connection) -> None:
    def end() -> None:
        lives.poll(None)
        os._exit(1)

    Thread(target=end, daemon=True).start()
