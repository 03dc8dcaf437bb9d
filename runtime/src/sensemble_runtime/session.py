"""A running composition: threads that read sensors, encode and report, while sensors come and go.

One thread reads each sensor and waits for nothing but that sensor; one encodes; a `Reporter` tells events and
keeps the record. They share a `Composition` under one lock, which nobody holds while reading, encoding or
writing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from sensemble_sensors.health import DEFAULT, Thresholds
from sensemble_sensors.sensor import Sensor

from sensemble_runtime import reading
from sensemble_runtime.bundle import Bundle
from sensemble_runtime.composition import Composition
from sensemble_runtime.errors import SessionError
from sensemble_runtime.events import Event, LiveSetEvent
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.reading import join
from sensemble_runtime.reporter import Reporter
from sensemble_runtime.scheduler import Policy, Scheduler
from sensemble_runtime.suite import Suite

QUEUE = 16  # predictions kept for a consumer that is slow


class Session:
    """Sensors in, predictions out; a context manager, and an iterable of `Prediction`.

    Iterating yields each prediction once (the newest ones, if the consumer is slow) and ends when the session
    is closed or, unless it is `lasting`, the last of its sensors has ended by itself. It raises what broke
    the encoding or the record.

    Sensors attach and detach at any time, from any thread. Of several sensors of one modality the one
    attached last feeds it; while that one is lost or unwell, the one before takes over.

    Args:
        bundle: an open bundle; a modality's encoder is loaded when its sensor was opened.
        policy: how to spend the processor, and what to pool; see `Policy`.
        record: a record file to which to add a run with every prediction.
        health: when a sensor counts as unwell, so that what it gives is kept out of the live set; None:
            never, for what is played rather than captured.
        lasting: go on when the last sensor has ended, for others may come; otherwise iterating ends.
        on_event: called with every event, in order, from a thread of the session; it may call any method.

    Attributes:
        missed: how many predictions the consumer never saw, because newer ones took their place.

    Raises:
        RecordError: the record cannot be opened or written.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        policy: Policy | None = None,
        record: Path | None = None,
        health: Thresholds | None = DEFAULT,
        lasting: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.missed = 0
        self._bundle = bundle
        self._lasting = lasting

        # One lock of everything below. Who encodes and who reads sensors are told when any of it changes; who
        # consumes only when there is something for him, or he would be in the encoder's way at each sample.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._news = threading.Condition(lock)
        self._policy = policy or Policy()
        bundle.threads = self._policy.threads
        self._composition = Composition(bundle, self._policy)
        self._scheduler = Scheduler(self._policy, bundle.specs)
        self._suite = Suite(
            bundle,
            self._composition,
            health,
            self._changed,
            pending=lambda modality: modality in {*self._composition.ready, *self._encoding},
            left=self._note_live,
            send=self._send,
            ended=self._news.notify_all,
        )
        self._encoding: set[str] = set()
        self._live: tuple[str, ...] = ()
        self._predictions: deque[Prediction] = deque()
        self._closed = False
        self._error: Exception | None = None
        self._raised = False

        self._reporter = Reporter(bundle, record, on_event, self._break)
        self._encoder = threading.Thread(target=self._encode, name="sensemble encoder", daemon=True)
        self._encoder.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Prediction]:
        while True:
            with self._changed:
                self._news.wait_for(lambda: self._predictions or self._stopped or self._over)
                if not self._predictions:
                    self._raise_once()
                    return
                prediction = self._predictions.popleft()
            yield prediction

    @property
    def live(self) -> tuple[str, ...]:
        """The live set now, sorted."""
        with self._changed:
            return self._composition.live(time.monotonic())

    def attach(self, sensor: Sensor) -> str:
        """Start reading `sensor`, in a thread of its own, and return the name by which to detach it.

        That is its own name, with a number if another attached sensor has it. Whether it could be opened, an
        event tells.

        Raises:
            SessionError: the session is closed, the bundle has no such modality, or the sensor is attached.
        """
        with self._changed:
            if self._stopped:
                raise SessionError(f"{sensor.name}: the session is closed; open another one")
            return self._suite.attach(sensor)

    def detach(self, name: str) -> bool:
        """Stop reading a sensor; its modality leaves the live set before this returns.

        It does not wait for the sensor. False if it is not attached: it has ended, or was detached before.
        """
        with self._changed:
            return self._suite.detach(name)

    def retry(self, name: str) -> bool:
        """Try a sensor that was lost again now, as it is known to be back; False if it is not attached."""
        with self._changed:
            return self._suite.retry(name)

    def close(self) -> None:
        """Stop every thread, finish the record and free the encoders; closing twice is allowed.

        Raises:
            SessionError: a sensor did not return from its read, open or close in time; names it.
            Exception: what broke the encoding or the record, if no consumer has seen it.
        """
        with self._changed:
            self._closed = True
            self._news.notify_all()
            readers = self._suite.stop()
        _join(self._encoder)
        left = join(readers)
        with self._changed:
            for modality in self._bundle.modalities:
                self._composition.remove(modality)
            self._changed.notify_all()
        self._reporter.finish(complete=self._error is None)
        if not self._reporter.join():
            return  # an event's listener closes the session; the reporter ends when it returns
        self._raise_once()
        if left:
            stuck = ", ".join(reader.name for reader in left)
            raise SessionError(f"{stuck}: did not stop within {reading.CLOSE:g} s; its thread is left behind")

    # What the other threads run.

    def _encode(self) -> None:
        try:
            while self._encode_next():
                pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the consumer gets it
            self._break(error)

    def _encode_next(self) -> bool:
        composition = self._composition
        with self._changed:
            now = time.monotonic()
            expiry = composition.next_expiry(now)
            patience = None if expiry is None else max(0.0, expiry - now)
            self._changed.wait_for(lambda: self._stopped or self._due, self._patience(patience))
            self._note_live()
            if self._due:
                self._changed.wait_for(lambda: self._stopped or not self._awaited, self._policy.align)
            if self._stopped:
                return False
            taken = composition.take(self._due)
            began = time.monotonic()
            self._encoding = {item.modality for item in taken}
        encoded = composition.encode(taken)
        with self._changed:
            self._encoding = set()
            if self._stopped:  # or the record would have a prediction that no consumer has seen
                return False
            for item in encoded:
                self._scheduler.spent(item.modality, began, item.latency)
            for event in self._scheduler.changes(composition.modalities, time.monotonic()):
                self._send(event)
            prediction = composition.fuse(encoded, time.monotonic())
            self._note_live()
            if prediction is not None:
                self._reporter.put(prediction)
                self._predictions.append(prediction)
                if len(self._predictions) > QUEUE:
                    self._predictions.popleft()
                    self.missed += 1
                self._news.notify()
            self._changed.notify_all()
        return True

    # What is done with the lock held.

    @property
    def _stopped(self) -> bool:
        return self._closed or self._error is not None

    @property
    def _over(self) -> bool:
        """Whether nothing more will come: the last sensor has ended by itself."""
        return self._suite.over and not self._lasting

    @property
    def _due(self) -> tuple[str, ...]:
        """Whose windows to encode now."""
        composition = self._composition
        return self._scheduler.due(composition.ready, composition.modalities, time.monotonic())

    def _patience(self, expiry: float | None) -> float | None:
        """Return how long to wait for a window: until one that is here has its turn, or the next expiry."""
        composition = self._composition
        turn = self._scheduler.patience(composition.ready, composition.modalities, time.monotonic())
        return min((wait for wait in (expiry, turn) if wait is not None), default=None)

    @property
    def _awaited(self) -> set[str]:
        """The modalities whose next window may end together with one that is complete.

        When it will end is known; or the sensor is open, and its first sample is still to come. A caption
        comes when it comes.
        """
        composition = self._composition
        ready = composition.ready
        missing = self._suite.modalities - set(ready)
        complete = [composition.window_end(m) for m in ready]
        near = {
            m
            for m in missing & set(composition.modalities)
            if (end := composition.next_window(m)) is not None
            and any(abs(end - other) <= self._policy.align for other in complete)
        }
        return near | (self._suite.starting & missing)

    def _note_live(self) -> None:
        now = time.monotonic()
        live = self._composition.live(now)
        if live != self._live:
            self._live = live
            self._send(LiveSetEvent(now, live))

    def _send(self, event: Event) -> None:
        self._reporter.put(event)

    def _break(self, error: Exception) -> None:
        with self._changed:
            self._error = self._error or error
            self._news.notify_all()
            self._suite.stop()

    def _raise_once(self) -> None:
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error


def _join(thread: threading.Thread) -> None:
    if thread is not threading.current_thread():
        thread.join()
