"""A bounded queue with a thread behind it, so that who gives never waits for who takes."""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Outbox(Generic[T]):
    """Hands what it is given, in order and as much at a time as there is, to `act` in a thread of its own.

    Args:
        name: of the thread.
        limit: how many items may wait; the oldest give way to newer ones, and are counted.
        act: takes a batch, and how many items that came before it gave way; what it raises, `broke` gets,
            and nothing is handed on after that.
        broke: called, in the thread, with what `act` or `over` raised.
        over: called, in the thread, when the last batch was taken, or `act` has raised.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        act: Callable[[list[T], int], None],
        *,
        broke: Callable[[BaseException], None],
        over: Callable[[], None] = lambda: None,
    ) -> None:
        self._act, self._broke, self._over = act, broke, over
        self._given = threading.Condition()
        self._items: deque[T] = deque(maxlen=limit)
        self._dropped = 0
        self._finished = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Add an item; never waits for `act`."""
        with self._given:
            self._dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._given.notify()

    def finish(self) -> None:
        """Let the thread end when it has handed on what it was given."""
        with self._given:
            self._finished = True
            self._given.notify()

    @property
    def inside(self) -> bool:
        """Whether `act` asks: then there is nothing to wait for, for the thread is in there."""
        return threading.current_thread() is self._thread

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread, up to `timeout` seconds; return whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def pause(self, seconds: float) -> bool:
        """For `act`: wait, but no longer than until the thread is to end; return whether it is."""
        with self._given:
            return self._given.wait_for(lambda: self._finished, seconds)

    def _run(self) -> None:
        try:
            try:
                while batch := self._next():
                    self._act(*batch)
            finally:
                self._over()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the session's consumer gets it
            self._broke(error)

    def _next(self) -> tuple[list[T], int] | None:
        with self._given:
            self._given.wait_for(lambda: self._items or self._finished)
            batch, dropped = list(self._items), self._dropped
            self._items.clear()
            self._dropped = 0
        return (batch, dropped) if batch else None
