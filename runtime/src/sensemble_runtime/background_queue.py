"""A bounded queue with a worker thread; producers never block."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from sensemble_sensors.clock import REAL, Clock, Patience, wait_for

T = TypeVar("T")


class BackgroundQueue(Generic[T]):
    """Calls `work` with batches of items, in order, in a thread called `name`.

    Args:
        limit: items that may wait; beyond it the oldest is dropped and counted in `dropped`.
        failed: called in the thread with what `work` or `finished` raised; the thread then ends.
        finished: called in the thread after the last batch, or after `work` has raised.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        work: Callable[[list[T]], None],
        *,
        failed: Callable[[BaseException], None],
        finished: Callable[[], None] = lambda: None,
        clock: Clock = REAL,
    ) -> None:
        self.dropped = 0
        self._work, self._failed, self._finished, self._clock = work, failed, finished, clock
        self._changed = threading.Condition()
        self._items: deque[T] = deque(maxlen=limit)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Add an item; never waits for `work`."""
        with self._changed:
            self.dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Let the thread end after the last item; does not wait for it."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def is_current_thread(self) -> bool:
        """True if the caller runs inside `work`, and so cannot wait for the thread."""
        return threading.current_thread() is self._thread

    def join(self, seconds: float) -> bool:
        """Wait up to `seconds` for the thread; return whether it has ended."""
        return Patience(self._clock, seconds).join(self._thread)

    def finish(self, timeout: float) -> bool:
        """Close, and wait for the thread up to `timeout` seconds, once; return whether it has ended."""
        again = self._closed
        self.close()
        return self.join(0.0 if again else timeout)

    def sleep(self, seconds: float) -> bool:
        """For `work`: wait, but no longer than until `close`; return whether the queue is closed."""
        with self._changed:
            return wait_for(self._clock, self._changed, lambda: self._closed, seconds)

    def _run(self) -> None:
        try:
            try:
                while batch := self._next():
                    self._work(batch)
            finally:
                self._finished()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the session's consumer gets it
            self._failed(error)

    def _next(self) -> list[T]:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            batch = list(self._items)
            self._items.clear()
        return batch
