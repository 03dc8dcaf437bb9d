"""The seconds between takes: background of the instant head, while no take shows none of the classes."""

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from sensemble_sensors.errors import SensembleError
from sensemble_sensors.recording.takes import delete_take
from sensemble_sensors.recording.writer import LAG

from sensemble_apps.console.output import remark
from sensemble_apps.running.recorder import Recorder
from sensemble_apps.running.take_recorder import takes_in

BETWEEN = "between"  # the folder in a project
KEPT = 24  # windows, the newest
SECONDS = 1.0  # of a window
APART = 1.0  # seconds between a window and a take
_WHEN = (1.0, 6.0, 11.0)  # seconds after a take: later, people try what they taught
_LOOK = 0.1  # seconds between two looks


class BetweenTakes:
    """Records a few windows after each take, in its own thread.

    Args:
        recorder: of windows.
        folder: of the windows, a recording of backgrounds.
        is_busy: true while a take is counted down or recorded, no sensor gives anything, or no windows are
            wanted.
        is_read: true while the windows may be read, and so none is deleted.
        done: called after the last window of a pause.
    """

    def __init__(
        self,
        recorder: Recorder,
        folder: Path,
        is_busy: Callable[[], bool],
        is_read: Callable[[], bool],
        done: Callable[[], None],
    ) -> None:
        self._recorder, self._folder, self._done = recorder, folder, done
        self._clock = recorder.clock
        self._is_busy, self._is_read = is_busy, is_read
        self._over = Event()
        self._thread = Thread(target=self._work, name="sensemble between takes", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End it, and wait until the last window is on the disk."""
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        began, made = self._clock.now(), 0  # of this pause
        try:
            while not self._clock.wait(self._over, _LOOK):
                if self._is_busy():
                    began, made = self._clock.now(), 0
                elif made < len(_WHEN) and self._clock.now() >= began + _WHEN[made] and self._has_room():
                    made += 1
                    if self._record() and made == len(_WHEN):
                        self._done()
        except SensembleError as error:
            remark(f"sensemble: nothing between takes is learned any more: {error}")

    def _has_room(self) -> bool:
        """Return whether fewer than `KEPT` windows are there, once the oldest is deleted."""
        takes = takes_in(self._folder)
        if len(takes) >= KEPT and not self._is_read():
            delete_take(self._folder, takes[0].number)
            return True
        return len(takes) < KEPT

    def _record(self) -> bool:
        """Record a window; a take that begins meanwhile, or soon, takes it back. Return whether it stays."""
        recording = self._recorder.start(
            self._folder, length=SECONDS, segment=SECONDS, split="train", background=True
        )
        quiet = self._waits(recording.began + SECONDS + LAG)
        self._recorder.stop()
        if quiet and self._waits(recording.began + SECONDS + APART):
            return True
        if recording.segments:
            delete_take(self._folder, recording.take)
        return False

    def _waits(self, until: float) -> bool:
        """Wait; return whether no take began meanwhile, also where the disk took longer than that."""
        while not self._is_busy():
            if self._clock.now() >= until:
                return True
            if self._clock.wait(self._over, _LOOK):
                return False
        return False
