"""Records takes: a countdown, some seconds of all sensors at once, and the take is on the disk; and again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any

from sensemble_sensors.errors import RecordingError

from sensemble_apps.errors import InputError
from sensemble_apps.running.takes import COUNTDOWN
from sensemble_apps.web.switchboard import Switchboard

SHORTEST, LONGEST = 1.0, 60.0  # seconds of a take
MOST = 50  # takes in a row
_PAUSE = 0.8  # seconds between two takes in a row: time to move
_LATE = 0.4  # seconds that samples of a browser may be late


@dataclass(frozen=True, slots=True)
class _Progress:
    """A take that is being recorded, the `number`th of `count` in a row: what is done until when."""

    title: str
    phase: str
    until: float
    seconds: float
    number: int
    count: int


class Recorder:
    """Records one take at a time, in a thread of its own. Safe from any thread.

    Args:
        switchboard: of the sensors.
        folder: of the recording.
        done: called when a take is over, with an error in words if it failed.
        countdown: seconds before a take.
    """

    def __init__(
        self,
        switchboard: Switchboard,
        folder: Path,
        done: Callable[[str | None], None],
        countdown: float = COUNTDOWN,
    ) -> None:
        self._switchboard, self._folder, self._done = switchboard, folder, done
        self._countdown = countdown
        self._lock = Lock()
        self._stop = Event()
        self._progress: _Progress | None = None
        self._thread: Thread | None = None

    @property
    def busy(self) -> bool:
        """True while a take is counted down or recorded."""
        return self._progress is not None

    def snapshot(self) -> dict[str, Any] | None:
        """Return the take that is being recorded, as JSON holds it; None if there is none."""
        progress = self._progress
        if progress is None:
            return None
        left = max(0.0, progress.until - monotonic())
        return {
            "title": progress.title,
            "phase": progress.phase,
            "left": round(left, 2),
            "seconds": progress.seconds,
            "number": progress.number,
            "count": progress.count,
        }

    def start(
        self,
        title: str,
        seconds: float,
        count: int = 1,
        *,
        now: bool = False,
        split: str,
        labels: Sequence[str] = (),
        background: bool = False,
    ) -> None:
        """Begin the countdown of a take, or of several in a row.

        Args:
            title: what it is of, for those who look.
            seconds: its length, from `SHORTEST` to `LONGEST`.
            count: takes in a row, from 1 to `MOST`.
            now: whether the first one begins without a countdown.
            split: see `Switchboard.record`; so are the labels, and the mark of a background.
            labels: of its examples.
            background: whether its examples show none of the classes.

        Raises:
            InputError: another take is being recorded, no sensor gives samples, or it is too long or short.
        """
        if not SHORTEST <= seconds <= LONGEST:
            raise InputError(f"a take has {SHORTEST:g} to {LONGEST:g} seconds")
        if not 1 <= count <= MOST:
            raise InputError(f"1 to {MOST} takes can be recorded in a row")
        if not any(tap.newest for tap in self._switchboard.taps):
            raise InputError("no sensor gives anything yet; give a camera or a microphone first")
        with self._lock:
            if self._progress is not None:
                raise InputError("a take is being recorded already")
            self._stop.clear()
            until = monotonic() + (0.0 if now else self._countdown)
            self._progress = _Progress(title, "countdown", until, seconds, 1, count)
            given = {"split": split, "labels": tuple(labels), "background": background}
            self._thread = Thread(target=self._work, args=(given,), name="sensemble take", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the take that is being recorded, once it has `SHORTEST` seconds, and those that would follow.

        During the countdown, nothing is recorded.
        """
        self._stop.set()

    def close(self) -> None:
        """End the take, and wait until it is on the disk."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _work(self, given: dict[str, Any]) -> None:
        progress, error = self._progress, None
        try:
            while progress is not None:
                try:
                    progress = self._progress = self._record(progress, given)
                except RecordingError as failure:
                    progress, self._progress, error = None, None, str(failure)
                self._done(error)
        finally:
            self._progress = None

    def _record(self, progress: _Progress, given: dict[str, Any]) -> _Progress | None:
        """Record a take after its countdown, and return the one that follows."""
        if self._stop.wait(max(0.0, progress.until - monotonic())):
            return None
        self._switchboard.record(self._folder, seconds=progress.seconds, **given)
        try:
            began = monotonic()
            self._progress = replace(progress, phase="recording", until=began + progress.seconds)
            if self._stop.wait(progress.seconds + _LATE):
                sleep(max(0.0, began + SHORTEST - monotonic()))
        finally:
            self._switchboard.stop_recording()
        if progress.number == progress.count or self._stop.is_set():
            return None
        until = began + progress.seconds + _PAUSE
        return replace(progress, phase="countdown", until=until, number=progress.number + 1)
