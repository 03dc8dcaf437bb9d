"""The thread that tells a session's events and keeps its record, so that nothing else waits for either."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from sensemble_runtime.bundle import Bundle
from sensemble_runtime.events import Event
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.records import Records


class Reporter:
    """Takes predictions and events, in order, and never makes who gives them wait.

    Args:
        bundle: of the session.
        record: a record file to which to add a run with every prediction.
        on_event: called with every event.
        broke: called with what either raised; nothing is told or recorded after that.

    Raises:
        RecordError: the record cannot be opened or written.
    """

    def __init__(
        self,
        bundle: Bundle,
        record: Path | None,
        on_event: Callable[[Event], None] | None,
        broke: Callable[[Exception], None],
    ) -> None:
        self._labels = bundle.manifest.labels
        self._on_event, self._broke = on_event, broke
        self._records = Records(record) if record is not None else None
        self._run = self._records.begin("session", bundle) if self._records else 0
        self._given = threading.Condition()
        self._outbox: deque[Prediction | Event] = deque()
        self._over = False
        self._complete = False
        self._thread = threading.Thread(target=self._report, name="sensemble reporter", daemon=True)
        self._thread.start()

    def put(self, item: Prediction | Event) -> None:
        """Add what is to be told or recorded."""
        with self._given:
            self._outbox.append(item)
            self._given.notify()

    def finish(self, *, complete: bool) -> None:
        """Let the thread end when it has done what it was given; `complete` marks the run in the record."""
        with self._given:
            self._over, self._complete = True, complete
            self._given.notify()

    def join(self) -> bool:
        """Wait for the thread; False, at once, if a listener asks for it, for the thread is in there."""
        if threading.current_thread() is self._thread:
            return False
        self._thread.join()
        return True

    def _report(self) -> None:
        try:
            while batch := self._next_batch():
                for item in batch:
                    if self._on_event and not isinstance(item, Prediction):
                        self._on_event(item)
                predictions = [item for item in batch if isinstance(item, Prediction)]
                if self._records and predictions:
                    self._records.add_predictions(self._run, predictions, self._labels)
            if self._records and self._complete:
                self._records.end(self._run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the session's consumer gets it
            self._broke(error)
        finally:
            if self._records:
                self._records.close()

    def _next_batch(self) -> list[Prediction | Event]:
        with self._given:
            self._given.wait_for(lambda: self._outbox or self._over)
            batch = list(self._outbox)
            self._outbox.clear()
        return batch
