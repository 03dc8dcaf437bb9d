"""Time, given to whatever waits: real in drivers, virtual in tests; and time as this process lives it."""

import math
import time
from collections.abc import Callable
from threading import Condition, Event, Thread
from typing import Protocol

ROUNDING = 1e-6  # seconds by which a sum of times may fall short
GAP = 1.0  # seconds between two looks at the clock that count: a process that runs looks more often
_LOOK = 0.001  # real seconds between two looks at virtual time


class Clock(Protocol):
    """The time of what waits. Nothing else reads a clock, so a test can let hours pass."""

    def now(self) -> float:
        """Return the time in seconds, as `time.monotonic` does."""

    def wall(self, at: float) -> float | None:
        """Return a time of `now` by the wall clock, in seconds since 1970; None if it has none."""

    def wait(self, waker: Event | Condition, seconds: float | None = None) -> bool:
        """Wait until an event is set, or a condition notified, for `seconds` at most; False after them.

        With a condition, whose lock is held, it may return early: check again what was waited for.
        """

    def join(self, thread: Thread, seconds: float) -> None:
        """Wait until a thread has ended, for `seconds` at most."""


class RealClock:
    """The clock of this machine."""

    def now(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wall(self, at: float) -> float:
        """See `Clock`."""
        return time.time() + at - time.monotonic()

    def wait(self, waker: Event | Condition, seconds: float | None = None) -> bool:
        """See `Clock`."""
        return waker.wait(seconds)

    def join(self, thread: Thread, seconds: float) -> None:
        """See `Clock`."""
        thread.join(seconds)


class VirtualClock:
    """A clock that moves only when `advance` is called, by any thread."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start

    def advance(self, seconds: float) -> None:
        """Let time pass; threads that wait go on soon after."""
        self._now += seconds

    def now(self) -> float:
        """See `Clock`."""
        return self._now

    def wall(self, at: float) -> None:
        """See `Clock`."""

    def wait(self, waker: Event | Condition, seconds: float | None = None) -> bool:
        """See `Clock`."""
        until = math.inf if seconds is None else self._now + seconds
        while self._now < until:
            # A condition that was notified just after its time was up does not say so.
            if waker.wait(_LOOK) or isinstance(waker, Condition):
                return True
        return False

    def join(self, thread: Thread, seconds: float) -> None:
        """See `Clock`."""
        until = self._now + seconds
        while thread.is_alive() and self._now < until:
            thread.join(_LOOK)


REAL = RealClock()


def wait_for(clock: Clock, condition: Condition, holds: Callable[[], object], seconds: float) -> bool:
    """Wait with a condition, whose lock is held, until something holds, for `seconds` at most; return it."""
    until = clock.now() + seconds
    while not holds() and (left := until - clock.now()) > 0:
        clock.wait(condition, left)
    return bool(holds())


def sleep(clock: Clock, seconds: float) -> None:
    """Wait for `seconds`, if they are more than 0."""
    clock.wait(Event(), max(seconds, 0.0))


class RunningTime:
    """Seconds in which this process ran, for deadlines that a busy or stopped machine must not break.

    Of the time between two looks, `GAP` counts at most: one who waits looks at least that often.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._looked: float | None = None

    def look(self, now: float) -> float:
        """Take the present time; return the seconds in which this process ran so far."""
        if self._looked is not None:
            self.seconds += min(max(now - self._looked, 0.0), GAP)
        self._looked = now if self._looked is None else max(now, self._looked)
        return self.seconds


class Patience:
    """Seconds of this process's running time in which threads must end."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds, self._ran = clock, seconds, RunningTime()
        self._ran.look(clock.now())

    @property
    def left(self) -> float:
        """The seconds that are left, 0 at least."""
        return max(0.0, self._seconds - self._ran.look(self._clock.now()))

    def join(self, thread: Thread) -> bool:
        """Wait for a thread; return whether it has ended."""
        while thread.is_alive() and (left := self.left) > 0:
            self._clock.join(thread, min(left, GAP / 2))
        return not thread.is_alive()
