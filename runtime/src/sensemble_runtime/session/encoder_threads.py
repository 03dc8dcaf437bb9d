"""The threads of a session that encode: one for each modality, so that a slow encoder holds up no quick one.

They share a `Composition` under the session's lock, which none of them holds while it encodes.
"""

import threading
import time
from collections.abc import Callable

from sensemble_runtime.events import EncoderEvent, Event, describe
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.live_set import Composition, Encoded
from sensemble_runtime.session.scheduler import Policy, Scheduler
from sensemble_runtime.session.sensor_set import Suite

RETRY = (0.5, 10.0)  # seconds for which an encoder that failed is left alone, doubled up to the last


class Lanes:
    """Encodes what the sensors of a session give, each modality on its own hop, and predicts.

    Windows that end together are pooled together: before it encodes, a lane waits up to `Policy.align` for
    those that are about to be complete, and after it as long for those that are being encoded, so for twice
    that in all. A slower one comes with a prediction of its own.

    An encoder that fails leaves the live set, is told and freed, and is tried again with a later window.
    The window that it failed on is lost.

    Args:
        modalities: of the bundle.
        composition: has the windows.
        scheduler: says whose turn it is.
        policy: its `align` is used here.
        suite: knows which sensors are about to give their first sample.
        changed: the session's lock, notified whenever something changes.
        stopped: whether to end, with the lock held.
        noted: called, with the lock held, when the live set may have changed.
        predicted: called, with the lock held, with each prediction.
        send: called, with the lock held, with each event.
        broke: called with what no lane expected; it ends the session.
    """

    def __init__(
        self,
        modalities: tuple[str, ...],
        composition: Composition,
        scheduler: Scheduler,
        policy: Policy,
        suite: Suite,
        changed: threading.Condition,
        *,
        stopped: Callable[[], bool],
        noted: Callable[[], None],
        predicted: Callable[[Prediction], None],
        send: Callable[[Event], None],
        broke: Callable[[BaseException], None],
    ) -> None:
        self._composition, self._scheduler, self._suite = composition, scheduler, suite
        self._align = policy.align
        self._changed = changed
        self._stopped, self._noted = stopped, noted
        self._predicted, self._send, self._broke = predicted, send, broke
        self._encoding: dict[str, float] = {}  # when the window ends that is being encoded
        self._encoded: dict[str, Encoded] = {}  # in no prediction yet
        self._delays: dict[str, float] = {}  # how long an encoder was left alone when it last failed
        self._resting: dict[str, float] = {}  # until when it is
        self._reasons: dict[str, str] = {}  # why, as it was told
        self._threads = {
            m: threading.Thread(target=self._run, args=(m,), name=f"sensemble {m} encoder", daemon=True)
            for m in modalities
        }

    def start(self) -> None:
        """Start encoding."""
        for thread in self._threads.values():
            thread.start()

    def join(self, timeout: float) -> set[str]:
        """Wait until nothing is encoded any more; `stopped` must hold, and its lock be free.

        Returns:
            The modalities whose encoders did not return within `timeout` seconds; their threads are daemons,
            and left behind.
        """
        deadline = time.monotonic() + timeout
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return {modality for modality, thread in self._threads.items() if thread.is_alive()}

    def pending(self, modality: str) -> bool:
        """Whether a window of a modality is still to be encoded, or not yet in a prediction."""
        return modality in {*self._composition.ready, *self._encoding, *self._encoded}

    def _run(self, modality: str) -> None:
        try:
            while self._encode_next(modality):
                pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, the session's consumer gets it
            self._broke(error)

    def _encode_next(self, modality: str) -> bool:
        """Encode one window, and predict; False when the session is over."""
        with self._changed:
            self._await_turn(modality)
            if self._stopped():
                return False
            taken = self._composition.take({modality})
            if not taken:  # its sensor left while the lane waited
                return True
            end = taken[0].window.time
            began = time.monotonic()
            self._encoding[modality] = end
        try:
            (encoded,) = self._composition.encode(taken)
        except BaseException as error:  # noqa: BLE001 - what one encoder raises must not end the others
            with self._changed:
                del self._encoding[modality]
                self._failed(modality, error)
            return True
        with self._changed:
            del self._encoding[modality]
            if self._stopped():  # or the record would have a prediction that no consumer has seen
                return False
            if not encoded.skipped:  # which says nothing of its encoder
                self._delays.pop(modality, None)
                if self._reasons.pop(modality, None):
                    self._send(EncoderEvent(time.monotonic(), modality, ""))
            self._scheduler.spent(modality, began, encoded.latency)
            self._encoded[modality] = encoded
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._stopped() or modality not in self._encoded or not self._beside(modality, end),
                self._align,
            )
            if modality in self._encoded and not self._stopped():
                self._predict(end)
        return True

    # What is done with the lock held.

    def _await_turn(self, modality: str) -> None:
        """Wait until a window of the modality is due, and as long as may be for those that end with it."""
        while not self._stopped() and not self._is_due(modality):
            self._changed.wait(self._patience(modality))
            self._noted()
        starting = self._starting
        came = self._changed.wait_for(
            lambda: self._stopped() or not self._awaited(modality) | self._starting, self._align
        )
        if not came:
            self._suite.await_no_longer(starting)

    def _is_due(self, modality: str) -> bool:
        composition, now = self._composition, time.monotonic()
        due = self._scheduler.due(composition.ready, composition.modalities, now)
        return modality in due and now >= self._resting.get(modality, now)

    def _patience(self, modality: str) -> float | None:
        """Return how long to wait for a window: until the one that is here has its turn, or an expiry."""
        composition, now = self._composition, time.monotonic()
        expiry = composition.next_expiry(now)
        waits = [] if expiry is None else [max(0.0, expiry - now)]
        if modality in composition.ready:
            turn = self._scheduler.patience((modality,), composition.modalities, now) or 0.0
            waits.append(max(turn, self._resting.get(modality, now) - now))
        return min(waits, default=None)

    def _awaited(self, modality: str) -> set[str]:
        """The modalities whose next window may end together with the complete one of `modality`.

        When it will end is known, but for a caption's, which comes when it comes.
        """
        composition = self._composition
        if modality not in composition.ready:
            return set()
        end = composition.window_end(modality)
        missing = self._suite.modalities & {*composition.modalities}
        missing -= {*composition.ready, *self._encoding, *self._encoded}
        return {m for m in missing if self._is_near(composition.next_window(m), end)}

    @property
    def _starting(self) -> set[str]:
        return self._suite.starting - {*self._composition.ready}

    def _beside(self, modality: str, end: float) -> set[str]:
        """The others that are being encoded, or are about to be, whose window ends together with this one."""
        composition = self._composition
        waiting = {m: composition.window_end(m) for m in composition.ready if self._is_due(m)}
        ends = waiting | self._encoding
        return {m for m, other in ends.items() if m != modality and self._is_near(other, end)}

    def _is_near(self, one: float | None, other: float) -> bool:
        return one is not None and abs(one - other) <= self._align

    def _predict(self, end: float) -> None:
        """Predict from what was encoded of the windows that end together at `end`."""
        encoded = {m: e for m, e in self._encoded.items() if self._is_near(e.time, end)}
        self._encoded = {m: e for m, e in self._encoded.items() if m not in encoded}
        now = time.monotonic()
        for event in self._scheduler.changes(self._composition.modalities, now):
            self._send(event)
        prediction = self._composition.fuse(encoded.values(), now)
        self._noted()
        if prediction is not None:
            self._predicted(prediction)
        self._changed.notify_all()

    def _failed(self, modality: str, error: BaseException) -> None:
        now = time.monotonic()
        delay = min(2 * self._delays.get(modality, RETRY[0] / 2), RETRY[1])
        self._delays[modality], self._resting[modality] = delay, now + delay
        self._composition.silence(modality)
        self._noted()
        reason = describe(error)
        if self._reasons.get(modality) != reason:  # a retry tells only what is new
            self._reasons[modality] = reason
            self._send(EncoderEvent(now, modality, reason))
        self._changed.notify_all()
