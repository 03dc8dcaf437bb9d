"""The state that the threads of a session share, and the lock that guards it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from itertools import count

from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.encoded import Encoded
from sensemble_runtime.errors import SessionError
from sensemble_runtime.events import Event, LiveSetEvent, describe
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.live_set import LiveSet
from sensemble_runtime.session.scheduler import Policy
from sensemble_runtime.session.sensor_host import Listener, Subscriber

PREDICTIONS = 16  # waiting at most: few, because old ones are of no use
EVENTS = 1024  # waiting at most: many, because no event is sent twice


class StreamQueue:
    """Predictions and events for the consumer, in order; the lock is the caller's."""

    def __init__(self) -> None:
        self.missed = self.missed_events = 0  # predictions and events dropped for a slow consumer
        self._order = count()
        self._predictions: deque[tuple[int, Prediction]] = deque(maxlen=PREDICTIONS)
        self._events: deque[tuple[int, Event]] = deque(maxlen=EVENTS)

    def __bool__(self) -> bool:
        return bool(self._predictions or self._events)

    def put(self, item: Prediction | Event) -> None:
        """Add an item; the oldest prediction, or event, is dropped where there is no room."""
        if isinstance(item, Prediction):
            self.missed += len(self._predictions) == self._predictions.maxlen
            self._predictions.append((next(self._order), item))
        else:
            self.missed_events += len(self._events) == self._events.maxlen
            self._events.append((next(self._order), item))

    def get(self) -> Prediction | Event:
        """Remove and return the first item; there must be one."""
        if not self._events or (self._predictions and self._predictions[0][0] < self._events[0][0]):
            return self._predictions.popleft()[1]
        return self._events.popleft()[1]


class SessionState:
    """The state that the parts of a session share; the `Sink` of its sensors.

    Hold `changed` for all of it but `load`, `report`, `wait_for_item`, `clear` and `fail`. It is never held
    while a sensor is read, a window is encoded or a record is written.
    """

    def __init__(self, bundle: Bundle, policy: Policy, adapter: Adapter | None = None) -> None:
        lock = threading.RLock()
        self.changed = threading.Condition(lock)  # an encoder or a sensor may go on
        # A window may be ready. One for each: a single condition would wake all encoders with each window.
        self.ready = {modality: threading.Condition(lock) for modality in bundle.modalities}
        self.specs: Mapping[str, InputSpec] = bundle.specs
        self.live_set = LiveSet(bundle, policy, adapter)
        self.encoding: dict[str, float] = {}  # by modality, the end of the window being encoded
        self.encoded: dict[str, Encoded] = {}  # by modality, not yet in a prediction
        self.queue = StreamQueue()
        self.closed = False
        self.error: Exception | None = None  # which ended the session
        self._arrived = threading.Condition(lock)
        self._live: tuple[str, ...] = ()
        self.subscribers: list[Subscriber] = []
        self.listeners: list[Listener] = []

    @property
    def stopped(self) -> bool:
        """True if the threads are to end."""
        return self.closed or self.error is not None

    # For sensors: see `Sink`.

    def load(self, modality: str) -> None:
        """Load the encoder of `modality`, and the tokenizer if it needs one."""
        self.live_set.bundle.load(modality)
        if kind_of(self.specs[modality]).tokenized:
            self.live_set.bundle.tokenize("")

    def push(self, sample: Sample, sensor: str) -> None:
        """Add a sample, and its modality if it is new; wake the encoder if a window is complete."""
        self.live_set.add(sample.modality, sensor)
        self.live_set.push(sample)
        for listener in self.listeners:
            listener.put((sensor, sample))
        if self.live_set.windows[sample.modality].ready:
            self.ready[sample.modality].notify()
            self.changed.notify_all()

    def is_pending(self, modality: str) -> bool:
        """True if a window of `modality` is still to be encoded, or not yet in a prediction."""
        return modality in {*self.live_set.ready, *self.encoding, *self.encoded}

    def remove(self, modality: str, *, ended: bool, needed: bool) -> None:
        """Forget the samples of `modality` and, unless its source has `ended`, its embedding; see `Sink`."""
        remove = self.live_set.end if ended else self.live_set.remove
        remove(modality, keep=needed)
        self.note_live_set()

    def report(self, event: Event) -> None:
        """Give an event to the consumer and to every subscriber, and wake every thread."""
        with self.changed:
            self.deliver(event)
            self.wake()

    # For encoders.

    def note_live_set(self) -> None:
        """Report changes of the live set, of familiarity and of corrections."""
        now = time.monotonic()
        for event in self.live_set.changes(now):
            self.report(event)
        live = self.live_set.live(now)
        if live != self._live:
            self._live = live
            self.report(LiveSetEvent(now, live))

    def deliver(self, item: Prediction | Event) -> None:
        """Give a prediction or an event to the consumer and to every subscriber."""
        self.queue.put(item)
        self._arrived.notify_all()
        for subscriber in self.subscribers:
            subscriber.put(item.copy() if isinstance(item, Prediction) else item)

    def fail(self, error: BaseException) -> None:
        """End the session with an error, which the consumer gets."""
        if not isinstance(error, Exception):  # it would silently end the consumer's thread
            error, cause = SessionError(f"{describe(error)}, out of a subscriber or an encoder"), error
            error.__cause__ = cause
        with self.changed:
            self.error = self.error or error
            self.wake()

    def clear(self, keep: Collection[str]) -> None:
        """Empty the live set of a closed session; free all encoders but those of `keep`, which are stuck."""
        with self.changed:
            for modality in self.live_set.bundle.modalities:
                self.live_set.remove(modality, keep=modality in keep)
            self.wake()

    # For consumers.

    def wait_for_item(self, over: Callable[[], bool]) -> Prediction | Event | None:
        """Wait for the next prediction or event; return None once it is `over` and none is left."""
        with self.changed:
            self._arrived.wait_for(lambda: self.queue or self.stopped or over())
            return self.queue.get() if self.queue else None

    def wake(self) -> None:
        """Wake every waiting thread."""
        for condition in (self.changed, self._arrived, *self.ready.values()):
            condition.notify_all()
