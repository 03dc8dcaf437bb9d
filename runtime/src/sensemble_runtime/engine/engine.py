"""The engine: inputs with their times in; orders, predictions and events out.

It opens, reads and encodes nothing: a driver carries out its orders and reports the outcome. Equal inputs
give equal outputs, whether they come from devices, from a replay in virtual time or from a test.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sensemble_sensors.clock import GAP, ROUNDING
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.kinds.windows import Window
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision.backoff import Backoff
from sensemble_sensors.supervision.events import FAULTS, Event, describe
from sensemble_sensors.supervision.suite import Suite
from sensemble_sensors.thresholds import Thresholds

from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.answer import UNFAMILIAR
from sensemble_runtime.engine.change_detector import ChangeDetector
from sensemble_runtime.engine.live_set import LiveSet, PoppedWindow, Teaching, WindowEmbedding
from sensemble_runtime.engine.scheduler import Policy, PolicyError, Scheduler
from sensemble_runtime.engine.sparing import EMPTY, NOT_FITTED, Cause, Sparing, Waking
from sensemble_runtime.engine.view import View
from sensemble_runtime.errors import AdaptError
from sensemble_runtime.prediction import Prediction

ENCODING = 10.0  # seconds in which this process ran, after which an encoder does not return
_UNANSWERED = 1.0  # seconds after which the policy of sensors that sleep is asked, if nothing is live
_CAUSES: Mapping[Cause, str] = {
    "unsure": "unsure",
    "unknown": "the others know nothing of this",
    "silent": "the others give nothing",
    "suspect": "one sensor contradicts the others",
    "check": "tried after a long sleep",
    "asked": "asked for",
}
_HUNG = f"it has been encoding for {ENCODING:g} s and does not return"


@dataclass(frozen=True, slots=True)
class EncodeOrder:
    """An order to encode a window, one of its modality at a time.

    The outcome is an input: `encoded` or `encoder_failed`.
    """

    window: PoppedWindow


@dataclass(frozen=True, slots=True)
class FreeOrder:
    """An order to free the encoder of a modality; the next window loads it again."""

    modality: str


class Engine(Suite):
    """The whole state of a session: its sensors, windows, embeddings and answer.

    Windows that end together are pooled together: a complete window waits up to `Policy.align` for others
    that are about to be complete; an encoded window then waits up to `align` more for windows still in their
    encoders. A slower window gets a separate prediction. An encoder that fails leaves the live set, and is
    tried again with a later window; one that does not return (`ENCODING`) leaves it until it does. The bundle
    is asked for its specs and its head alone.

    Beside what a `Suite` returns, `advance` returns each `EncodeOrder`, `FreeOrder` and `Prediction`. What
    `began` and `ended` are events after the prediction that tells it.
    """

    def __init__(
        self,
        bundle: Bundle,
        policy: Policy | None = None,
        adapter: Teaching | None = None,
        health: Thresholds | None = None,
        conditions: Sequence[Applied] = (),
    ) -> None:
        super().__init__(bundle.specs, health, conditions)
        policy = policy or Policy()
        self._skew = policy.skew
        self._live_set = LiveSet(bundle, policy, adapter)
        self._scheduler = Scheduler(policy, bundle.specs)
        self._adapter = adapter
        self._align = policy.align
        self._aligning: dict[str, float] = {}  # until when a complete window waits for others
        self._in_encoders: dict[str, tuple[Window, float]] = {}  # the window, and when it began
        self._detector = ChangeDetector(bundle.specs) if policy.duty else None
        self._overdue: dict[str, float] = {}  # the seconds that this process must run to call one overdue
        self._unpooled: dict[str, tuple[WindowEmbedding, float]] = {}  # and until when it waits for others
        self._backoffs: dict[str, Backoff] = {}  # of encoders that failed last
        self._resting: dict[str, float] = {}  # until when a failed encoder is left alone
        self._failures: dict[str, Event] = {}  # of encoders, as they were reported
        self._live: tuple[str, ...] = ()  # as it was reported
        self._newest: tuple[Prediction | None, Bundle] = None, bundle  # the newest answer, and what gave it
        self._latencies: dict[str, float] = {}  # of the last encodings
        self._stale: float | None = None  # from when on the first embedding is too old
        self._spares = policy.sparing
        if policy.sparing and bundle.manifest.calibration.sparing is None:
            raise PolicyError(f"{bundle.path}: no sensor may sleep; {NOT_FITTED}")
        self._sparing: Sparing | None = None  # from the first sensor on
        self._waking: dict[str, float] = {}  # when each sensor that has not answered since was woken
        self._took: dict[str, float] = {}  # seconds from its waking to its first answer

    @property
    def bundle(self) -> Bundle:
        """The bundle that answers."""
        return self._live_set.bundle

    def live(self, now: float) -> tuple[str, ...]:
        """Return the live set at `now`, sorted: that of the newest answer, without what left since."""
        live, (newest, _) = self._live_set.live(now), self._newest
        return tuple(m for m in live if newest is None or m in newest.live) or live

    def view(self, now: float) -> View:
        """Return the session at `now`, after `advance(now)`."""
        sensors, live = self.sensors, self.live(now)
        prediction, bundle = self._newest if live else (None, self.bundle)
        faults = [
            Event(one.since, one.state, one.modality, one.name, one.why)
            for one in sensors
            if one.state in FAULTS
        ]
        of_modalities = (*self._live_set.faults, *self._failures.values(), *self._scheduler.overloads)
        faults += [event for event in of_modalities if event.modality in self._live_set.windows]
        return View(
            now,
            sensors,
            live,
            prediction and prediction.copy(),
            tuple(sorted(faults, key=lambda event: event.time)),
            {**self._latencies},
            bundle,
        )

    # Inputs, beside those of a suite.

    def attach(
        self, key: int, modality: str, title: str, now: float, *, played: bool, pushed: bool = False
    ) -> str:
        """Add a sensor, as a suite does; the first begins the policy by which sensors sleep."""
        if self._sparing is None:
            self._begin_sparing(now)
        return super().attach(key, modality, title, now, played=played, pushed=pushed)

    def wake(self, now: float) -> None:
        """Wake all sensors that sleep, for a while."""
        self._note_time(now)
        if self._sparing is not None:
            self._spare(self._sparing.wake(self._now))

    def encoded(self, window: WindowEmbedding, now: float) -> None:
        """Take an embedding."""
        self._note_time(now)
        modality = window.modality
        given, began = self._in_encoders.pop(modality)
        self._overdue.pop(modality, None)
        if self._detector is not None:
            self._detector.keep(modality, given.data, window.embedding)
        self._backoffs.pop(modality, None)
        if self._failures.pop(modality, None):
            self._out.append(Event(self._now, "encoder works again", modality))
        self._scheduler.spent(modality, began, self._now - began)
        self._unpooled[modality] = window, now + self._align
        if modality not in self._live_set.windows:  # its sensor left; this window may have loaded it again
            self._out.append(FreeOrder(modality))

    def encoder_failed(self, modality: str, error: BaseException, now: float) -> None:
        """Note that a window could not be encoded; a later one is tried."""
        self._note_time(now)
        del self._in_encoders[modality]
        self._overdue.pop(modality, None)
        self._resting[modality] = now + self._backoffs.setdefault(modality, Backoff()).next()
        self._silence(modality, describe(error))
        self._out.append(FreeOrder(modality))
        self._note_live_set()

    def loaded(self, modality: str, now: float) -> None:
        """Note that an encoder was loaded; one whose sensor left meanwhile is freed."""
        self._note_time(now)
        if not any(life.modality == modality for life in self._lives.values()):
            self._out.append(FreeOrder(modality))

    def label(self, label: str, now: float) -> None:
        """Teach every live sensor that its newest window shows `label`; AdaptError if that cannot be."""
        self._note_time(now)
        if self._adapter is None:
            raise AdaptError("teach: this session does not adapt; open it with adapt=Adapter(bundle)")
        self._adapter.label(label, self._live_set.newest(now), now)

    def studied(self, now: float) -> None:
        """Note that the adapter learned its lessons."""
        self._note_time(now)
        self._note_live_set()

    def replace_head(self, other: Bundle, now: float) -> bool:
        """Answer with the head, labels and audit of another bundle; False if its encoders are others.

        Also False if the sensors teach each other by the present head.
        """
        self._note_time(now)
        made = None if self._adapter else self.bundle.with_head(other)
        if made is not None:
            self._live_set.replace_head(made, self._now)
            self._begin_sparing(self._now)
        return made is not None

    # Outputs.

    def advance(self, now: float) -> list[Any]:
        """Let time pass up to `now`; return, in order, all that follows since the last call."""
        self._note_time(now)
        if self._now >= self._next_spare:
            self._note_answers()
        going = True
        while going:
            self._do_what_is_due()
            going = self._begin() | self._predict()
        for modality in [m for m, end in self._overdue.items() if self._ran.seconds >= end - ROUNDING]:
            del self._overdue[modality]
            self._silence(modality, _HUNG)
            self._note_live_set()
        if self._stale is not None and self._now >= self._stale:
            self._note_live_set()
        if self.over:
            self._live_set.finish(self._now)
        self._out += self._live_set.moments(self._now)
        out, self._out = self._out, []
        return out

    def deadline(self) -> float | None:
        """Return the time at which to call `advance` if no input comes before; None for never."""
        times = [*self._aligning.values(), *(until for _, until in self._unpooled.values())]
        turns = (
            self._turn(m) for m in self._live_set.ready if m not in self._aligning and not self._at_work(m)
        )
        waits = (self._now + min(end - self._ran.seconds, GAP) for end in self._overdue.values())
        own = (super().deadline(), self._stale, self._live_set.next_end)
        times += [*turns, *waits, *(time for time in own if time is not None)]
        times += [self._next_spare] if self._sparing else []
        return min(times, default=None)

    # What a suite asks.

    def _push(self, name: str, sample: Sample) -> None:
        self._live_set.add(sample.modality, name)
        self._live_set.push(sample)
        super()._push(name, sample)

    def _is_pending(self, modality: str) -> bool:
        ring = self._live_set.windows.get(modality)
        return self._at_work(modality) or (ring is not None and ring.ready)

    def _modality_left(self, modality: str, *, ended: bool, needed: bool) -> None:
        (self._live_set.end if ended else self._live_set.remove)(modality)
        self._aligning.pop(modality, None)
        self._waking.pop(modality, None)
        if not needed:
            self._out.append(FreeOrder(modality))
        self._note_live_set()

    # Turns.

    def _at_work(self, modality: str) -> bool:
        return modality in self._in_encoders or modality in self._unpooled

    def _turn(self, modality: str) -> float:
        """Return the time from which the complete window of a modality is encoded."""
        turn = self._scheduler.turn(modality, self._live_set.windows, self._now)
        return max(turn, self._resting.get(modality, turn))

    def _begin(self) -> bool:
        """Order to encode the windows whose turn it is; return whether there was one."""
        began = False
        for modality in self._live_set.ready:
            if self._at_work(modality):
                continue
            if self._turn(modality) > self._now:
                self._aligning.pop(modality, None)
                continue
            starting = self.starting.difference(self._live_set.ready) if self._align else ()
            if self._align and (starting or self._expected(modality)):
                if self._now < self._aligning.setdefault(modality, self._now + self._align):
                    continue
                self.stop_waiting(starting)
            self._aligning.pop(modality, None)
            window = self._live_set.pop_window(modality)
            if self._reuse(window):
                began = True
                continue
            self._in_encoders[modality] = window.window, self._now
            self._overdue[modality] = self._ran.seconds + ENCODING
            self._out.append(EncodeOrder(window))
            began = True
        return began

    def _reuse(self, popped: PoppedWindow) -> bool:
        """Give a window that is like the one last encoded that one's embedding; return whether it is."""
        modality, window = popped.modality, popped.window
        embedding = self._detector.unchanged(modality, window.data) if self._detector else None
        if embedding is None:
            return False
        level = kind_of(self.specs[modality]).level(window.data)
        reused = WindowEmbedding(
            modality, popped.sensor, embedding, window.time, 0.0, popped.ring, True, level
        )
        self._scheduler.spent(modality, self._now, 0.0)
        self._unpooled[modality] = reused, self._now + self._align
        return True

    def _expected(self, modality: str) -> bool:
        """Return whether another modality's window that ends with this one is about to be complete."""
        windows = self._live_set.windows
        end = windows[modality].end
        others = (windows[m] for m in self.working if m in windows and not self._at_work(m))
        return any(
            not ring.ready and ring.due is not None and self._is_near(ring.due, end) for ring in others
        )

    def _predict(self) -> bool:
        """Predict from the embeddings that wait for no others; return whether there was one."""
        made = False
        for modality, (window, until) in [*self._unpooled.items()]:
            if modality in self._unpooled and (self._now >= until or not self._has_companion(window)):
                self._fuse(window.time)
                made = True
        return made

    def _has_companion(self, window: WindowEmbedding) -> bool:
        """Return whether another window that ends with this one waits for its encoder, or is in it."""
        windows = self._live_set.windows
        ends = {m: windows[m].end for m in self._live_set.ready if self._turn(m) <= self._now}
        ends |= {m: window.time for m, (window, _) in self._in_encoders.items()}
        return any(m != window.modality and self._is_near(end, window.time) for m, end in ends.items())

    def _is_near(self, one: float, other: float) -> bool:
        return abs(one - other) <= self._align

    def _fuse(self, end: float) -> None:
        together = [e for e, _ in self._unpooled.values() if self._is_near(e.time, end)]
        for one in together:
            del self._unpooled[one.modality]
        self._out += self._scheduler.changes(self._live_set.modalities, self._now)
        prediction = self._live_set.fuse(together, self._now)
        self._note_live_set()
        if prediction is not None:
            self._newest = prediction, self.bundle
            self._latencies |= prediction.latencies
            self._out.append(prediction)
            self._note_answers()
        self._out += self._live_set.moments(self._now)

    # Sparing.

    def _begin_sparing(self, now: float) -> None:
        calibration = self.bundle.manifest.calibration.sparing if self._spares else None
        self._sparing, self._asked = (Sparing(calibration, now) if calibration else None), now
        self.spare({}, {})

    @property
    def _next_spare(self) -> float:
        """The time at which the policy is asked, if no answer comes before; inf without one."""
        if self._sparing is None:
            return math.inf
        own = self._sparing.deadline
        return own if self._live_set.newest(self._now) else min(own, self._asked + _UNANSWERED)

    def _note_answers(self) -> None:
        """Ask the policy which sensors are needed, by the newest answers."""
        if self._sparing is None:
            return
        self._asked, live = self._now, self._live_set.newest(self._now)
        for m in [m for m in self._waking if m in live]:
            self._took[m] = self._now - self._waking.pop(m)
        steps = self._live_set.steps if live else ()
        confidences = [float(one.probabilities.max()) * (one.doubts[0] != UNFAMILIAR) for one in steps]
        order = self._sparing.order
        steady = [[m for m in place if self.specs[m].hop] for place in order]
        working = self.working.difference(self._failures)
        are_live = [
            True if not own or any(m in live for m in own) else None if working.isdisjoint(own) else False
            for own in steady
        ]
        suspect = any(event.kind == "suspect" for event in self._live_set.faults)
        woken = self._sparing.note(self._now, confidences or [0.0] * len(order), are_live, suspect=suspect)
        self._spare(woken)

    def _spare(self, woken: Sequence[Waking]) -> None:
        """Let the sensors sleep that the policy needs no more, and wake those that it needs."""
        assert self._sparing is not None  # noqa: S101 - it was asked
        order, reasons = self._sparing.order, dict[str, str]()
        for one in woken:
            reason = _CAUSES[one.cause]
            if one.cause == "unsure":
                chances = self._live_set.steps[one.place - 1].probabilities[0]
                two = [self.bundle.labels[i] for i in chances.argsort(kind="stable")[:-3:-1]]
                reason = f"unsure between {' and '.join(two)}"
            reasons |= dict.fromkeys(order[one.place], reason)
            self._waking |= dict.fromkeys(self.working.intersection(order[one.place]), self._now)
        resting = [m for place in order[self._sparing.needed :] for m in place]
        took = {m: f"; its first answer took {self._took[m]:.1f} s" for m in resting if m in self._took}
        steps, last = self._live_set.steps, self._sparing.needed - 1
        is_empty = len(steps) > 0 and steps[last].doubts[0] == UNFAMILIAR
        why = f"the others have known nothing for {EMPTY:g} s" if is_empty else "the others are sure enough"
        self.spare({m: f"{why}{took.get(m, '')}" for m in resting}, reasons)

    def _silence(self, modality: str, reason: str) -> None:
        """Take a modality out of the live set, as its encoder failed; a retry reports only what is new."""
        known = self._failures.get(modality)
        if known is None or known.text != reason:
            self._failures[modality] = Event(self._now, "encoder failed", modality, text=reason)
            self._out.append(self._failures[modality])
        self._live_set.silence(modality)

    def _note_live_set(self) -> None:
        """Report changes of the live set, of familiarity and of corrections."""
        self._out += self._live_set.changes(self._now)
        live = self._live_set.live(self._now)
        if live != self._live:
            self._live = live
            self._out.append(Event(self._now, "live", text="+".join(live)))
        expiry = self._live_set.next_expiry(self._now)
        self._stale = None if expiry is None else math.nextafter(expiry, math.inf)
