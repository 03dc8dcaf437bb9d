"""The thread in which a session's sensors learn, outside its lock."""

import threading
from time import monotonic
from typing import Literal

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.events import AdaptEvent
from sensemble_runtime.session.state import SessionState

STUDY = 0.5  # seconds between two calls of `Adapter.study`
EVERY = 30.0  # seconds between two writes, so that a power cut costs little and a card lives long
LAST = 10.0  # seconds that the disk has for the last write


class Adaptation:
    """Lets the adapter study and save while the session runs; a failed write is reported, and tried again."""

    def __init__(self, adapter: Adapter, state: SessionState) -> None:
        self._adapter, self._state = adapter, state
        self._stop = threading.Event()
        self._unsaved: AdaptError | None = None  # of the last write
        self._thread = threading.Thread(target=self._run, name="sensemble adaptation", daemon=True)
        self._thread.start()

    def finish(self) -> AdaptError | None:
        """Learn the rest, write it and free the folder, once; return an error if it could not be written."""
        if self._stop.is_set():
            return None
        self._stop.set()
        self._thread.join(LAST)
        if self._thread.is_alive():
            folder = self._adapter.folder
            return AdaptError(f"{folder}: its disk does not answer; the last lessons are lost")
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
