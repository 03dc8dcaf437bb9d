"""Keeping what a session's sensors learn: written by a thread of its own, now and then and at the end."""

import threading
from time import monotonic

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.events import AdaptEvent
from sensemble_runtime.session.state import SessionState

EVERY = 30.0  # seconds between two writes, so that a power cut costs little and a card lives long
LAST = 10.0  # seconds that the disk has for the last one


class Adaptation:
    """Writes what the adapter has learned, while the session's threads use it.

    What cannot be written, because the disk is full, is reported once, and tried again.

    Args:
        adapter: of the session; used with the state's lock held, closed at the end.
        state: takes the events.
    """

    def __init__(self, adapter: Adapter, state: SessionState) -> None:
        self._adapter, self._state = adapter, state
        self._stop = threading.Event()
        self._unsaved: AdaptError | None = None  # why the last write failed
        self._thread = threading.Thread(target=self._run, name="sensemble adaptation", daemon=True)
        self._thread.start()

    def finish(self) -> AdaptError | None:
        """Learn the scenes that go on, write the rest and free the folder; again, it does nothing.

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
            while not self._stop.wait(EVERY):
                before, self._unsaved = self._unsaved, self._write()
                reason = str(self._unsaved or "")
                if reason not in ("", str(before or "")):
                    self._state.report(AdaptEvent(monotonic(), "", "", "unsaved", (), 0.0, 0.0, reason))
            with self._state.changed:
                self._adapter.finish(monotonic())
                self._state.note_live_set()
            self._unsaved = self._write()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the session's consumer gets it
            self._state.fail(error)
        finally:
            self._adapter.close()

    def _write(self) -> AdaptError | None:
        with self._state.changed:
            packed = self._adapter.pack()
        try:
            self._adapter.write(packed)
        except AdaptError as error:
            with self._state.changed:
                self._adapter.note_unsaved(packed)
            return error
        return None
