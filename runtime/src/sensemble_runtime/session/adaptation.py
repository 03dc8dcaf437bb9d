"""Learning of a session's sensors: in a thread of its own, outside the session's lock."""

import threading
from time import monotonic
from typing import Literal

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.events import AdaptEvent
from sensemble_runtime.session.state import SessionState

STUDY = 0.5  # seconds between two looks for lessons
EVERY = 30.0  # seconds between two writes, so that a power cut costs little and a card lives long
LAST = 10.0  # seconds that the disk has for the last one


class Adaptation:
    """Learns and writes what the adapter has noted, while the session's threads use it.

    What cannot be written, because the disk is full, is reported once, and tried again.

    Args:
        adapter: of the session; closed at the end.
        state: takes the events.
    """

    def __init__(self, adapter: Adapter, state: SessionState) -> None:
        self._adapter, self._state = adapter, state
        self._stop = threading.Event()
        self._unsaved: AdaptError | None = None  # why the last write failed
        self._thread = threading.Thread(target=self._run, name="sensemble adaptation", daemon=True)
        self._thread.start()

    def finish(self) -> AdaptError | None:
        """Learn the rest, write it and free the folder; again, it does nothing.

        Returns:
            Why something could not be written, to be raised; None if all was.
        """
        if self._stop.is_set():
            return None
        self._stop.set()
        self._thread.join(LAST)
        if self._thread.is_alive():
            folder = self._adapter.folder
            return AdaptError(f"{folder}: its disk does not answer; what was learned last is lost")
        return self._unsaved

    def _run(self) -> None:
        try:
            due = monotonic() + EVERY
            self._stop.wait(STUDY)  # for those who subscribe to the new session
            for problem in self._adapter.problems:
                self._report("set aside", problem)
            while not self._stop.wait(STUDY):
                self._study()
                if monotonic() >= due:
                    self._save()
                    due = monotonic() + EVERY
            self._study(end=True)
            self._save()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the session's consumer gets it
            self._state.fail(error)
        finally:
            self._adapter.close()

    def _study(self, *, end: bool = False) -> None:
        self._adapter.study(end=end)
        with self._state.changed:
            self._state.note_live_set()

    def _save(self) -> None:
        before, self._unsaved = self._unsaved, None
        try:
            self._adapter.save()
        except AdaptError as error:
            self._unsaved = error
            if str(error) != str(before):
                self._report("unsaved", str(error))

    def _report(self, kind: Literal["unsaved", "set aside"], reason: str) -> None:
        self._state.report(AdaptEvent(monotonic(), "", "", kind, (), 0.0, 0.0, reason))
