"""The threads around a suite of sensors, and its subscribers: the base of a session and of a recording.

The suite (a session's engine is one) decides everything. A thread with an input runs it under one lock, which
is never held while a sensor is read, a window is encoded or a file is written. A separate engine thread would
cost each window two more thread switches. The timekeeper thread calls the suite at its deadlines.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from sensemble_sensors.clock import REAL, Clock, Patience
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.sensor import Sample, Sensor, is_played, is_pushed
from sensemble_sensors.supervision.events import Event
from sensemble_sensors.supervision.reader_thread import ReaderThread
from sensemble_sensors.supervision.sensor_view import SensorView
from sensemble_sensors.supervision.suite import ReaderOrder, Suite, UsedSample

from sensemble_runtime.background_queue import BackgroundQueue
from sensemble_runtime.errors import SessionError
from sensemble_runtime.prediction import Prediction

WAITING = 1024  # predictions and events, or samples, that may wait for a slow subscriber
CLOSE = 5.0  # seconds that all threads have to return when a session is closed
KILL = 1.0  # seconds more for isolated sensors after their processes are killed

Subscriber = BackgroundQueue[Prediction | Event]
Listener = BackgroundQueue[tuple[str, Sample]]  # samples with the name of their sensor
T = TypeVar("T")


class SensorHost(ABC):
    """Sensors that attach and detach at any time, and subscribers. Safe from any thread.

    Attributes:
        clock: the time of all that waits but sensors themselves.
    """

    def __init__(self, suite: Suite, conditions: Sequence[Applied] = (), clock: Clock = REAL) -> None:
        self._suite, self.clock = suite, clock
        self._conditions = conditions
        self._lock = threading.RLock()
        self._arrived = threading.Condition(self._lock)  # an event, or the end
        self._due = threading.Condition(self._lock)  # the deadline comes earlier
        self._deadline: float | None = None
        self._stopped = False
        self._keys = count()
        self._readers: dict[int, ReaderThread] = {}  # of the attached sensors, by key
        self._running: list[ReaderThread] = []  # may still run
        self._subscribers: list[BackgroundQueue[Any]] = []
        self._item_queues: list[Subscriber] = []
        self._sample_queues: list[Listener] = []
        self._timekeeper = threading.Thread(target=self._keep_time, name="sensemble clock", daemon=True)
        self._timekeeper.start()

    def attach(self, sensor: Sensor) -> str:
        """Start reading `sensor` in a new thread; return its name, numbered if another sensor has it.

        An event reports whether it could be opened. Raises SessionError if the session is closed, the bundle
        has no such modality, or the sensor is attached.
        """
        modality = sensor.modality
        with self._lock:
            if self._stopped:
                raise SessionError(f"{sensor.name}: the session is closed; open another one")
            if modality not in self._suite.specs:
                raise SessionError(
                    f"{sensor.name}: the bundle has no encoder for {modality!r}; "
                    f"it has {', '.join(sorted(self._suite.specs))}"
                )
            if any(reader.sensor is sensor for reader in self._readers.values()):
                raise SessionError(f"{sensor.name}: already attached; detach it first")
            self._running = [reader for reader in self._running if reader.thread.is_alive()]
            reader = ReaderThread(
                next(self._keys),
                sensor,
                self._suite.specs[modality],
                self._suite,
                self._call,
                prepare=self._prepare,
                conditions=[one for one in self._conditions if one.modality == modality],
                previous=[other.thread for other in self._running if other.sensor is sensor],
                clock=self.clock,
            )
            reader.thread.start()  # may raise, so it comes first; it waits for an order
            self._readers[reader.key] = reader
            self._running.append(reader)
            reader.name = self._suite.attach(
                reader.key,
                modality,
                sensor.name,
                self.clock.now(),
                played=is_played(sensor),
                pushed=is_pushed(sensor),
            )
            self._advance()
            return reader.name

    def detach(self, name: str) -> bool:
        """Stop reading a sensor, whose modality leaves the live set at once; False if it is not attached."""
        return bool(self._call(self._suite.detach, name))

    def retry(self, name: str) -> bool:
        """Try a lost sensor again now; False if it is not attached."""
        return bool(self._call(self._suite.retry, name))

    def lose(self, name: str, reason: str) -> bool:
        """Close a sensor, report it as lost for `reason`, and try it again; False if it is not attached."""
        return bool(self._call(self._suite.lose, name, reason))

    @property
    def sensors(self) -> tuple[SensorView, ...]:
        """The sensors now: the attached ones, and those that left last."""
        with self._lock:
            return self._suite.sensors

    def subscribe(self, callback: Callable[[Prediction | Event], None]) -> Subscriber:
        """Call `callback` in a new thread with every prediction and event from now on, in order.

        It may be slow, and call any method of the session; `stream` raises its errors. Return its bounded
        queue; `dropped` counts the items that a slow callback missed. Raises SessionError if the session is
        closed.
        """
        return self._subscribe(callback, self._item_queues)

    def listen(self, callback: Callable[[str, Sample], None]) -> Listener:
        """Call `callback` with the sensor's name and each degraded, read-only sample of active sensors."""
        return self._subscribe(lambda item: callback(*item), self._sample_queues)

    def unsubscribe(self, subscriber: Subscriber | Listener) -> bool:
        """Stop new calls; queued items are still delivered. False if it was not subscribed."""
        with self._lock:
            if subscriber not in self._subscribers:
                return False
            self._subscribers.remove(subscriber)
            for queues in (self._item_queues, self._sample_queues):
                if subscriber in queues:
                    queues.remove(subscriber)  # type: ignore[arg-type]
        subscriber.close()
        return True

    def _subscribe(
        self, callback: Callable[[T], None], queues: list[BackgroundQueue[T]]
    ) -> BackgroundQueue[T]:
        def work(batch: list[T]) -> None:
            for item in batch:
                callback(item)

        with self._lock:
            if self._stopped:  # nobody would end its thread
                raise SessionError("subscribe: the session is closed; open another one")
            subscriber = BackgroundQueue(
                "sensemble subscriber", WAITING, work, failed=self._fail, clock=self.clock
            )
            self._subscribers.append(subscriber)
            queues.append(subscriber)
        return subscriber

    # Called by the threads.

    def _call(self, method: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - the method's
        """Call an input method of the suite now, and carry out what follows; None once stopped."""
        with self._lock:
            if self._stopped:
                return None
            answer = method(*arguments, self.clock.now())
            self._advance()
            return answer

    @abstractmethod
    def _prepare(self, modality: str) -> None:
        """Load what the samples of `modality` need; may be slow."""

    @abstractmethod
    def _fail(self, error: BaseException) -> None:
        """Take the error of a subscriber."""

    def _keep_time(self) -> None:
        with self._lock:
            while not self._stopped:
                now, deadline = self.clock.now(), self._deadline
                if deadline is not None and deadline <= now:
                    self._advance()
                else:
                    self.clock.wait(self._due, None if deadline is None else deadline - now)

    # With the lock held.

    def _advance(self) -> None:
        """Do what follows from the inputs so far."""
        try:
            for output in self._suite.advance(self.clock.now()):
                self._handle(output)
            deadline = self._suite.deadline()
        except Exception as error:  # noqa: BLE001 - or a reader would blame its sensor, or the clock end unnoticed
            self._fail(error)
            return
        earlier = deadline is not None and (self._deadline is None or deadline < self._deadline)
        self._deadline = deadline
        if earlier:
            self._due.notify()

    def _handle(self, output: Any) -> None:  # noqa: ANN401 - whatever a suite returns
        if isinstance(output, UsedSample):
            for listener in self._sample_queues:
                listener.put((output.name, output.sample))
        elif isinstance(output, ReaderOrder):
            self._readers[output.key].obey(output.act)
            if output.act == "end":
                del self._readers[output.key]
        else:
            self._deliver(output)

    def _deliver(self, item: Prediction | Event) -> None:
        """Give a prediction or an event to every subscriber."""
        for subscriber in self._item_queues:
            subscriber.put(item.copy() if isinstance(item, Prediction) else item)
        self._arrived.notify_all()

    def _stop(self) -> None:
        """Let every thread end as soon as it can."""
        self._stopped = True
        for reader in self._readers.values():
            reader.obey("end")
        self._due.notify()
        self._arrived.notify_all()

    # Without it.

    def _join(self, patience: Patience) -> list[ReaderThread]:
        """Wait for the readers, and kill the processes of late ones; return those still running."""
        killed = [reader for reader in self._late(self._running, patience) if reader.kill()]
        self._late(killed, Patience(self.clock, KILL))
        patience.join(self._timekeeper)
        return [reader for reader in self._running if reader.thread.is_alive()]

    def _late(self, readers: Sequence[ReaderThread], patience: Patience) -> list[ReaderThread]:
        for reader in readers:
            if reader.thread is not threading.current_thread():
                patience.join(reader.thread)
        return [reader for reader in readers if reader.thread.is_alive()]
