"""The thread in which a session's sensors learn from each other: neither sensors nor encoders wait for it."""

from collections.abc import Callable

from sensemble_sensors.clock import Clock
from sensemble_sensors.supervision.events import Event

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.background_queue import BackgroundQueue
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.prediction import Prediction

EVERY = 30.0  # seconds between two writes, so that a power cut costs little and a card lives long
LAST = 10.0  # seconds that the disk has for the last write


class Adaptation:
    """Lets the adapter study and save while the session runs; a failed write is reported, and tried again.

    Args:
        studied: called after lessons were learned.
        report, failed: called with events, and with an error that ends the session.

    Attributes:
        queue: of the items of the session; each lets the adapter study.
    """

    def __init__(
        self,
        adapter: Adapter,
        studied: Callable[[], None],
        report: Callable[[Event], None],
        failed: Callable[[BaseException], None],
        clock: Clock,
    ) -> None:
        self._adapter, self._studied, self._report, self._clock = adapter, studied, report, clock
        self._unsaved: AdaptError | None = None  # of the last write
        self._due = self._clock.now() + EVERY
        self.queue: BackgroundQueue[Prediction | Event] = BackgroundQueue(
            "sensemble adaptation", 1, self._work, failed=failed, finished=self._end, clock=clock
        )

    def finish(self) -> AdaptError | None:
        """Write the rest and free the folder; return an error if it could not be written."""
        if not self.queue.finish(LAST):
            folder = self._adapter.folder
            return AdaptError(f"{folder}: its disk does not answer; the last lessons are lost")
        return self._unsaved

    def _work(self, _: object) -> None:
        if self._adapter.problem:
            self._report(Event(self._clock.now(), "set aside", text=self._adapter.problem))
            self._adapter.problem = ""
        self._adapter.study()
        self._studied()
        if self._clock.now() >= self._due:
            self._save()

    def _end(self) -> None:
        try:
            self._adapter.study()
            self._save()
        finally:
            self._adapter.close()

    def _save(self) -> None:
        self._due = self._clock.now() + EVERY
        before, self._unsaved = self._unsaved, None
        try:
            self._adapter.save()
        except AdaptError as error:
            self._unsaved = error
            if str(error) != str(before):
                self._report(Event(self._clock.now(), "unsaved", text=str(error)))
