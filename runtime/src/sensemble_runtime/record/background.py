"""The thread that keeps a session's record, so that neither sensors nor encoders wait for a disk."""

import time
from collections.abc import Callable
from pathlib import Path

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import RecordError
from sensemble_runtime.events import Event, RecordEvent
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.background_queue import Outbox
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.record.writer import Records

WAITING = (
    4096  # predictions and events that wait for a slow or full disk; older ones give way, and are counted
)
RETRY = (0.5, 10.0)  # seconds to the first retry, doubled up to the last
LAST = 30.0  # seconds that the disk has for what is not written yet, when the session is over
TRIM = 60.0  # seconds between two looks at the bounds of the record, where nothing was beyond them


class Recorder:
    """Adds a run to a record file, with every prediction and event that it is given.

    What cannot be written, to a full disk or a card that was pulled, is told, and tried again with the file
    opened anew. What was lost meanwhile is told, and so in the record, once it can be written. Where the file
    was removed, or its card exchanged, another run is begun.

    Args:
        bundle: of the session.
        path: the record file.
        retention: its bounds; what is beyond them is removed, to begin with and while it is written.
        tell: called, from the recorder's thread, with what becomes of the record.
        broke: called, from there, with what nobody expected; nothing is recorded after that.

    Raises:
        RecordError: the record cannot be opened or written to begin with.
    """

    def __init__(
        self,
        bundle: Bundle,
        path: Path,
        retention: Retention,
        *,
        tell: Callable[[RecordEvent], None],
        broke: Callable[[BaseException], None],
    ) -> None:
        self._bundle, self._path, self._retention, self._tell = bundle, path, retention, tell
        self._records = Records(path)
        self._begin()
        self._complete = False
        self._lost = 0  # predictions and events
        self._told = 0  # of them, as the last event said
        self._trim_at = time.monotonic()  # when to look at the bounds
        self._reason = ""  # why it is not written now, or was not to the end
        self._outbox: Outbox[Prediction | Event] = Outbox(
            "sensemble recorder", WAITING, self._write, broke=broke, over=self._end
        )
        self.put = self._outbox.put

    def finish(self, *, complete: bool) -> RecordError | None:
        """Write what there is and close the file; `complete` marks the run as one that ended well.

        Returns:
            What could not be written to the end, as an error to raise; None if all was, or the record says
            itself what it lacks.
        """
        self._complete = complete
        self._outbox.finish()
        if not self._outbox.join(LAST):
            return RecordError(f"{self._path}: its disk does not answer; the end of the record is lost")
        if self._reason:
            return RecordError(f"{self._reason}; it lacks {self._lost} predictions and events")
        return None

    def _begin(self) -> None:
        self._run = self._records.begin("session", self._bundle)
        self._began = self._records.began(self._run)

    def _write(self, batch: list[Prediction | Event], dropped: int) -> None:
        self._lost += dropped
        failed = bool(self._reason)
        last, delay = False, RETRY[0]
        while not self._wrote(batch):
            failed = True
            if last:
                self._lost += len(batch)
                return
            last = self._outbox.pause(delay)
            delay = min(2 * delay, RETRY[1])
        self._reason = ""
        if failed or self._lost > self._told:
            self._told = self._lost
            self._tell(RecordEvent(time.monotonic(), "", self._lost))

    def _wrote(self, batch: list[Prediction | Event]) -> bool:
        try:
            if self._reason:  # its card may have been pulled, and be back
                self._records.close()
                self._records = Records(self._path)
                if self._records.began(self._run) != self._began:
                    self._begin()
            else:
                self._records.check()
            self._trim()
            self._records.add_news(self._run, batch, self._bundle.manifest.labels)
        except RecordError as error:
            if not self._reason:
                self._tell(RecordEvent(time.monotonic(), str(error), self._lost))
            self._reason = str(error)
            return False
        return True

    def _trim(self) -> None:
        now = time.monotonic()
        if now >= self._trim_at and not self._records.trim(self._retention, self._run):
            self._trim_at = now + TRIM

    def _end(self) -> None:
        try:
            if self._complete and not self._reason:
                self._records.end(self._run)
        except RecordError as error:
            self._reason = str(error)
        finally:
            self._records.close()
