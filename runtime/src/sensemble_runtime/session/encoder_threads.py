"""The encoder threads of a session, one per modality: a slow encoder delays no fast one."""

import threading
import time

from sensemble_runtime.backoff import Backoff
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.events import EncoderEvent, describe
from sensemble_runtime.session.scheduler import Policy, Scheduler
from sensemble_runtime.session.sensor_set import SensorSet
from sensemble_runtime.session.state import SessionState


class EncoderThreads:
    """Encodes the windows of a session, each modality on its own hop, and predicts.

    Windows that end together are pooled together: a thread waits up to `Policy.align` for windows that are
    about to be complete, and as long again for windows that are being encoded. A slower window gets a
    prediction of its own. An encoder that fails leaves the live set, and is tried again with a later window.
    """

    def __init__(self, bundle: Bundle, state: SessionState, sensors: SensorSet, policy: Policy) -> None:
        self._state, self._live_set, self._sensors = state, state.live_set, sensors
        self._changed = state.changed
        self._scheduler = Scheduler(policy, bundle.specs)
        self._align = policy.align
        self._backoffs: dict[str, Backoff] = {}  # of encoders that failed last
        self._resting: dict[str, float] = {}  # until when a failed encoder is left alone
        self._reasons: dict[str, str] = {}  # why it failed, as it was reported
        self._threads = {
            m: threading.Thread(target=self._run, args=(m,), name=f"sensemble {m} encoder", daemon=True)
            for m in bundle.modalities
        }

    def start(self) -> None:
        """Start encoding."""
        for thread in self._threads.values():
            thread.start()

    def join(self, deadline: float) -> set[str]:
        """Wait for the threads; return the modalities whose thread still runs at `deadline`."""
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return {modality for modality, thread in self._threads.items() if thread.is_alive()}

    def _run(self, modality: str) -> None:
        try:
            while self._encode_next(modality):
                pass
        except BaseException as error:  # noqa: BLE001 - whatever it is, the session's consumer gets it
            self._state.fail(error)

    def _encode_next(self, modality: str) -> bool:
        """Encode one window, and predict; False when the session is over."""
        state = self._state
        with self._changed:
            self._await_turn(modality)
            if state.stopped:
                return False
            popped = self._live_set.pop_window(modality)
            if popped is None:  # its sensor left while the thread waited
                return True
            end = popped.window.time
            began = time.monotonic()
            state.encoding[modality] = end
        try:
            encoded = self._live_set.encode(popped)
        except BaseException as error:  # noqa: BLE001 - what one encoder raises must not end the others
            with self._changed:
                del state.encoding[modality]
                self._note_failure(modality, error)
            return True
        with self._changed:
            del state.encoding[modality]
            if state.stopped:  # or the record would have a prediction that no consumer has seen
                return False
            if not encoded.skipped:  # which says nothing about its encoder
                self._note_success(modality)
            self._scheduler.spent(modality, began, encoded.latency)
            state.encoded[modality] = encoded
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: state.stopped or modality not in state.encoded or not self._companions(modality, end),
                self._align,
            )
            if modality in state.encoded and not state.stopped:
                self._predict(end)
        return True

    # With the lock held.

    def _await_turn(self, modality: str) -> None:
        """Wait until a window of the modality is due, and up to `align` for those that end with it."""
        state = self._state
        while not (state.stopped or self._is_due(modality)):
            state.note_live_set()  # an embedding may have expired
            state.ready[modality].wait(self._patience(modality))
        if not self._align:
            return
        starting = self._starting
        complete = self._changed.wait_for(
            lambda: state.stopped or not self._expected(modality) | self._starting, self._align
        )
        if not complete:
            self._sensors.stop_waiting(starting)

    def _turn(self, modality: str, now: float) -> float | None:
        """Return the time from which the complete window of a modality is encoded; None without one."""
        ring = self._live_set.windows.get(modality)
        if ring is None or not ring.ready:
            return None
        turn = self._scheduler.turn(modality, self._live_set.windows, now)
        return max(turn, self._resting.get(modality, turn))

    def _is_due(self, modality: str) -> bool:
        now = time.monotonic()
        turn = self._turn(modality, now)
        return turn is not None and turn <= now

    def _patience(self, modality: str) -> float | None:
        """Return the seconds until a complete window has its turn, or an embedding expires."""
        now = time.monotonic()
        times = (self._turn(modality, now), self._live_set.next_expiry(now))
        return min((max(0.0, one - now) for one in times if one is not None), default=None)

    def _expected(self, modality: str) -> set[str]:
        windows = self._live_set.windows
        if modality not in windows or not windows[modality].ready:
            return set()
        end, at_work = windows[modality].end, {*self._state.encoding, *self._state.encoded}
        missing = {m for m in self._sensors.modalities - at_work if m in windows and not windows[m].ready}
        return {m for m in missing if self._is_near(windows[m].due, end)}

    @property
    def _starting(self) -> set[str]:
        return self._sensors.starting - {*self._live_set.ready}

    def _companions(self, modality: str, end: float) -> set[str]:
        live_set = self._live_set
        waiting = {m: live_set.windows[m].end for m in live_set.ready if self._is_due(m)}
        ends = waiting | self._state.encoding
        return {m for m, other in ends.items() if m != modality and self._is_near(other, end)}

    def _is_near(self, one: float | None, other: float) -> bool:
        return one is not None and abs(one - other) <= self._align

    def _predict(self, end: float) -> None:
        state = self._state
        encoded = {m: e for m, e in state.encoded.items() if self._is_near(e.time, end)}
        for modality in encoded:
            del state.encoded[modality]
        now = time.monotonic()
        for event in self._scheduler.changes(self._live_set.modalities, now):
            state.report(event)
        prediction = self._live_set.fuse(encoded.values(), now)
        state.note_live_set()
        if prediction is not None:
            state.deliver(prediction)
        self._changed.notify_all()

    def _note_success(self, modality: str) -> None:
        self._backoffs.pop(modality, None)
        if self._reasons.pop(modality, None):
            self._state.report(EncoderEvent(time.monotonic(), modality, ""))

    def _note_failure(self, modality: str, error: BaseException) -> None:
        now = time.monotonic()
        self._resting[modality] = now + self._backoffs.setdefault(modality, Backoff()).next()
        self._live_set.silence(modality)
        self._state.note_live_set()
        reason = describe(error)
        if self._reasons.get(modality) != reason:  # a retry reports only what is new
            self._reasons[modality] = reason
            self._state.report(EncoderEvent(now, modality, reason))
        self._changed.notify_all()
