"""A running composition: threads that read sensors, encode and report, while sensors come and go.

One thread reads each sensor and waits for nothing but that sensor; one encodes each modality (`Lanes`); one
tells events, and one keeps the record. They share a `Composition` under one lock, which nobody holds while
reading, encoding or writing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Self

from sensemble_sensors.sensor import Sensor
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.errors import SessionError
from sensemble_runtime.events import Event, LiveSetEvent, describe
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.background import Recorder
from sensemble_runtime.record.background_queue import Outbox
from sensemble_runtime.record.retention import Retention
from sensemble_runtime.session import sensor_thread
from sensemble_runtime.session.encoder_threads import Lanes
from sensemble_runtime.session.live_set import Composition
from sensemble_runtime.session.scheduler import Policy, Scheduler
from sensemble_runtime.session.sensor_set import Suite
from sensemble_runtime.session.sensor_thread import Reader, join

QUEUE = 16  # predictions kept for a consumer that is slow
UNTOLD = 1024  # events kept for a listener that is slow


class Session:
    """Sensors in, predictions out; a context manager, and an iterable of `Prediction`.

    Iterating yields each prediction once (the newest ones, if the consumer is slow) and ends when the session
    is closed or, unless it is `lasting`, the last of its sensors has ended by itself. It raises what a
    listener raised, and a `SessionError` for what is no `Exception`, such as `SystemExit`. A sensor or an
    encoder that fails, and a record that cannot be written, are told, and tried again: they end nothing.

    Sensors attach and detach at any time, from any thread. Of several sensors of one modality the one
    attached last feeds it; while that one is lost or unwell, the one before takes over.

    Args:
        bundle: an open bundle; a modality's encoder is loaded when its sensor was opened.
        policy: how to spend the processor, and what to pool; see `Policy`.
        record: a record file to which to add a run with every prediction and event.
        retention: the bounds of that record; None for those of `Retention()`, 1 GB.
        health: when a sensor counts as unwell, so that what it gives is kept out of the live set; None:
            never, for what is played rather than captured.
        lasting: go on when the last sensor has ended, for others may come; otherwise iterating ends.
        on_event: called with every event, in order, from a thread of the session; it may call any method.

    Attributes:
        missed: how many predictions the consumer never saw, because newer ones took their place.
        untold: how many events the listener was never called with, because it was slow.

    Raises:
        RecordError: the record cannot be opened or written to begin with.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        policy: Policy | None = None,
        record: Path | None = None,
        retention: Retention | None = None,
        health: Thresholds | None = DEFAULT,
        lasting: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.missed = self.untold = 0
        self._bundle = bundle
        self._lasting = lasting

        # One lock of everything below. Who encodes and who reads sensors are told when any of it changes; who
        # consumes only when there is something for him, or he would be in the encoder's way at each sample.
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        self._news = threading.Condition(lock)
        policy = policy or Policy()
        bundle.threads = policy.threads
        self._composition = Composition(bundle, policy)
        self._suite = Suite(
            bundle,
            self._composition,
            health,
            self._changed,
            pending=self._pending,
            left=self._note_live,
            send=self._send,
            ended=self._news.notify_all,
        )
        self._lanes = Lanes(
            bundle.modalities,
            self._composition,
            Scheduler(policy, bundle.specs),
            policy,
            self._suite,
            self._changed,
            stopped=lambda: self._stopped,
            noted=self._note_live,
            predicted=self._give,
            send=self._send,
            broke=self._break,
        )
        self._live: tuple[str, ...] = ()
        self._predictions: deque[Prediction] = deque()
        self._closed = False
        self._left: list[Reader] = []
        self._stuck: set[str] = set()  # what else did not return when it was closed
        self._error: Exception | None = None
        self._raised = False
        self._recorder: Recorder | None = None
        if record is not None:
            self._recorder = Recorder(
                bundle, record, retention or Retention(), tell=self._send, broke=self._break
            )
        self._teller: Outbox[Event] | None = None
        if on_event is not None:
            self._on_event = on_event
            self._teller = Outbox("sensemble teller", UNTOLD, self._tell, broke=self._break)
        self._lanes.start()

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

    def lose(self, name: str, reason: str) -> bool:
        """Take a sensor whose device is known to be gone for lost; False if it is not attached.

        It is closed, told as lost for `reason`, and tried again, as one that said so itself.
        """
        with self._changed:
            return self._suite.lose(name, reason)

    def close(self) -> None:
        """Stop every thread, finish the record and free the encoders; closing twice is allowed.

        Raises:
            SessionError: a sensor, an encoder or a listener did not return in time; names it. Its thread is
                left behind, and keeps no process from ending.
            RecordError: some of what should be in the record could not be written; says how much.
            Exception: what a listener raised, if no consumer has seen it.
        """
        with self._changed:
            self._closed = True
            self._news.notify_all()
            readers = [reader for reader in self._suite.stop() if reader not in self._left]
        encoding = self._lanes.join(0.0 if self._stuck else sensor_thread.CLOSE)
        left = join(readers)
        self._left += left  # closing again does not wait for them again
        with self._changed:
            for modality in self._bundle.modalities:
                self._composition.remove(modality, keep=modality in encoding)
            self._changed.notify_all()
        self._bundle.settle()
        if self._recorder is not None:
            unwritten = self._recorder.finish(complete=self._error is None)
            self._error = self._error or unwritten
        stuck = {f"the {modality} encoder" for modality in encoding}
        if self._teller is not None:
            self._teller.finish()
            if self._teller.inside:
                return  # a listener closes the session; the thread that tells ends when it returns
            if not self._teller.join(0.0 if self._stuck else sensor_thread.CLOSE):
                stuck.add("the listener")
        found = sorted(stuck - self._stuck) + [reader.name for reader in left]
        self._stuck |= stuck
        self._raise_once()
        if found:
            raise SessionError(
                f"{', '.join(found)}: did not stop within {sensor_thread.CLOSE:g} s; "
                "its thread is left behind"
            )

    # What the other threads call.

    def _tell(self, events: list[Event], dropped: int) -> None:
        self.untold += dropped
        for event in events:
            self._on_event(event)

    def _send(self, event: Event) -> None:
        for outbox in (self._teller, self._recorder):
            if outbox is not None:
                outbox.put(event)

    def _break(self, error: BaseException) -> None:
        if not isinstance(error, Exception):  # which would end the consumer's thread, and say nothing
            error, cause = SessionError(f"{describe(error)}, out of a listener or an encoder"), error
            error.__cause__ = cause
        with self._changed:
            self._error = self._error or error
            self._news.notify_all()
            self._suite.stop()

    # What is done with the lock held.

    @property
    def _stopped(self) -> bool:
        return self._closed or self._error is not None

    @property
    def _over(self) -> bool:
        """Whether nothing more will come: the last sensor has ended by itself."""
        return self._suite.over and not self._lasting

    def _give(self, prediction: Prediction) -> None:
        """Record a prediction, and keep it for the consumer."""
        if self._recorder is not None:
            self._recorder.put(deepcopy(prediction))  # whose maps the consumer may alter
        self._predictions.append(prediction)
        if len(self._predictions) > QUEUE:
            self._predictions.popleft()
            self.missed += 1
        self._news.notify()

    def _pending(self, modality: str) -> bool:
        return self._lanes.pending(modality)

    def _note_live(self) -> None:
        now = time.monotonic()
        live = self._composition.live(now)
        if live != self._live:
            self._live = live
            self._send(LiveSetEvent(now, live))

    def _raise_once(self) -> None:
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error
