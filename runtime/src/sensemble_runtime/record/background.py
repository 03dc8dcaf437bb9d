"""The thread that keeps a session's record, so that neither sensors nor encoders wait for a disk."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sensemble_sensors.clock import REAL, Clock
from sensemble_sensors.supervision.backoff import Backoff
from sensemble_sensors.supervision.events import Event

from sensemble_runtime.background_queue import BackgroundQueue
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import RecordError
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.record.writer import RecordWriter

WAITING = 4096  # predictions and events that may wait for a slow or full disk
LAST = 30.0  # seconds that the disk has for the rest, once the session is over
TRIM = 60.0  # seconds between two checks of the record's bounds, while nothing is beyond them


class BackgroundWriter:
    """Adds a session's run to a record file, with every prediction and event of its queue.

    A failed write (a full disk, a pulled card) is reported and tried again with the file reopened. Losses are
    counted, and reported once the record can be written. If the file was removed, another run begins. An
    unexpected error goes to `failed`, and ends the recording. Raises RecordError if the first write fails.

    Attributes:
        failure: the event of the failure because of which the record is not being written; None if it is.
    """

    def __init__(
        self,
        bundle: Bundle,
        path: Path,
        retention: Retention,
        *,
        report: Callable[[Event], None],
        failed: Callable[[BaseException], None],
        clock: Clock = REAL,
    ) -> None:
        self._clock = clock
        self._bundle, self._path, self._retention, self._report = bundle, path, retention, report
        self._records = RecordWriter(path)
        try:
            self._begin()
        except RecordError:
            self._records.close()
            raise
        self._complete = False
        self._unwritten = 0  # predictions and events given up because the session was over
        self._reported = 0  # how many are lost, as the last event said
        self._trim_at = self._clock.now()  # when to check the bounds
        self.failure: Event | None = None
        self.queue: BackgroundQueue[Prediction | Event] = BackgroundQueue(
            "sensemble record", WAITING, self._write, failed=failed, finished=self._end, clock=clock
        )

    def finish(self, *, complete: bool) -> RecordError | None:
        """Write the rest and close the file; `complete` marks the run as one that ended well.

        Return an error that says what could not be written; None if all was, or the record says what it
        lacks.
        """
        self._complete = complete
        if not self.queue.finish(LAST):
            return RecordError(f"{self._path}: its disk does not answer; the end of the record is lost")
        if self.failure is not None:
            return RecordError(f"{self.failure.text}; it lacks {self._lost} predictions and events")
        return None

    @property
    def _lost(self) -> int:
        return self._unwritten + self.queue.dropped

    def _begin(self) -> None:
        self._run = self._records.begin("session", self._bundle)
        self._began = self._records.began(self._run)

    def _write(self, batch: list[Prediction | Event]) -> None:
        failed = self.failure is not None
        last, backoff = False, Backoff()
        while not self._try_to_write(batch):
            failed = True
            if last:
                self._unwritten += len(batch)
                return
            last = self.queue.sleep(backoff.next())
        self.failure = None
        lost = self._lost
        if failed or lost > self._reported:
            self._reported = lost
            text = f"{lost} predictions and events are lost"
            self._report(Event(self._clock.now(), "recorded", text=text))

    def _try_to_write(self, batch: list[Prediction | Event]) -> bool:
        try:
            if self.failure is not None:  # its card may have been pulled, and be back
                self._records.close()
                self._records = RecordWriter(self._path)
                if self._records.began(self._run) != self._began:
                    self._begin()
            else:
                self._records.check()
            self._trim()
            self._records.add_items(self._run, batch)
        except RecordError as error:
            if self.failure is None:
                self.failure = self._failed(error)
                self._report(self.failure)
            self.failure = replace(self.failure, text=str(error))
            return False
        return True

    def _trim(self) -> None:
        now = self._clock.now()
        if now >= self._trim_at and not self._records.trim(self._retention, self._run):
            self._trim_at = now + TRIM

    def _end(self) -> None:
        try:
            if self._complete and self.failure is None:
                self._records.end(self._run)
        except RecordError as error:
            self.failure = self._failed(error)
        finally:
            self._records.close()

    def _failed(self, error: RecordError) -> Event:
        return Event(self._clock.now(), "record failed", text=str(error))
