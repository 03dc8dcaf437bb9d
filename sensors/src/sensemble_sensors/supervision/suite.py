"""The attached sensors: the life of each, and the active one of each modality.

All that is decided about sensors, without threads, clock, files or logs. Inputs are method calls with their
time; `advance` returns what follows from them, in order.
"""

import math
import traceback
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sensemble_sensors.clock import GAP, ROUNDING, RunningTime
from sensemble_sensors.errors import SampleError, SensembleError, SensorCodeError, printable
from sensemble_sensors.health.health import Health
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.kind import Kind
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sensor import Sample, free_name
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.backoff import Backoff
from sensemble_sensors.supervision.events import Event, SensorState, explain
from sensemble_sensors.supervision.sensor_view import SensorView
from sensemble_sensors.thresholds import PLAYED, Thresholds

GONE = 64  # sensors that left, at most, whose last state is kept
ALIKE = 3  # errors at one place, with no success between them, after which the sensor's code is broken

Act = Literal["open", "close", "pause", "resume", "end"]


@dataclass(frozen=True, slots=True)
class ReaderOrder:
    """An order to the reader of the sensor `key`.

    `open`: open the sensor and read it. `close`: close it and wait. `pause`: read no further until `resume`.
    `end`: close it for good.
    """

    key: int
    act: Act


@dataclass(frozen=True, slots=True)
class UsedSample:
    """A sample of the active sensor of its modality, which has this `name`."""

    name: str
    sample: Sample


Phase = Literal["opening", "open", "ending", "closing", "waiting", "asleep"]

# Seconds that a sensor's code may take to open, to answer a read, which is asked to take 0.2 s, and to close;
# and what is reported after that. Opening an isolated sensor takes up to 17 s, and says more.
PATIENCE: Mapping[Phase, tuple[float, SensorState, str]] = {
    "opening": (20.0, "unavailable", "{name}: its code has been opening for 20 s and does not return"),
    "open": (4.0, "unhealthy", "its code has been reading for 4 s and does not return"),
    "closing": (20.0, "lost", "{name}: its code has been closing for 20 s and does not return"),
}


@dataclass(slots=True, eq=False)
class _Life:
    """An attached sensor.

    Attributes:
        phase: `opening` until it is open and what its samples need is loaded; `ending`: its source is over,
            and its last window waits for a prediction; `closing`: until its reader has closed it; `waiting`:
            for the next try; `asleep`: closed until it is needed.
        answered: seconds in which this process had run when the sensor's code last returned or was called.
        is_overdue: whether it was reported that the code does not return.
        reported: its last event; one of an equal kind and reason is not repeated. Of the kind `opening`
            before the first.
        sampled: whether it has given a sample since it was opened.
        waited_for: whether the wait for its first sample is over.
        suspected: the faults for which it was last closed.
        raised: errors of the sensor's code since it last worked, by type and place.
        lag: its samples' seconds behind the clock.
        retry_at: when it is opened again, while it waits for that.
        hasty: whether to reopen it immediately after closing.
        doomed: why it is lost once it is open; empty if it is not.
        held: a caption that waits until the one before it was answered.
        sleeping: whether it is not needed: its device is released once it is open.
    """

    key: int
    name: str
    spec: InputSpec
    played: bool
    pushed: bool
    conditions: str
    kind: Kind
    answered: float
    reported: Event
    phase: Phase = "opening"
    is_overdue: bool = False
    sampled: bool = False
    waited_for: bool = False
    suspected: tuple[str, ...] = ()
    state: tuple[SensorState, str] = ("recovered", "")
    health: Health | None = None
    began: float = -math.inf
    backoff: Backoff = field(default_factory=Backoff)
    raised: Counter[object] = field(default_factory=Counter)
    lag: float | None = None
    retry_at: float | None = None
    hasty: bool = False
    doomed: str = ""
    held: Sample | None = None
    end: str = ""
    sleeping: bool = False

    @property
    def modality(self) -> str:
        return self.spec.modality


class Suite:
    """The sensors of a recording or, as an `Engine`, of a session. For one thread at a time.

    Of several sensors of a modality, the one attached last that works is active: its samples are used.
    Samples of a sensor that `health` finds unhealthy are not used. With None, and of a file, only the clock
    is checked. A sensor whose code does not return (`PATIENCE`) gives way to the next, until it returns; the
    reader of one that is `played` need not report every read.

    Attributes:
        over: whether the last sensor has ended by itself.
    """

    def __init__(
        self,
        specs: Mapping[str, InputSpec],
        health: Thresholds | None = None,
        conditions: Sequence[Applied] = (),
    ) -> None:
        self.specs = specs
        self.over = False
        self._health = health
        self._conditions = conditions
        self._lives: dict[int, _Life] = {}  # in the order of attaching
        self._active: dict[str, _Life] = {}  # by modality
        self._gone: dict[str, Event] = {}  # the last events of sensors that left, by name
        self._named: dict[str, str] = {}  # by modality, the active sensor as it was reported
        self._now = -math.inf  # of the newest input
        self._ran = RunningTime()
        self._skew = math.inf  # seconds by which an active sensor may be later than the others and is used
        self._out: list[Any] = []

    @property
    def working(self) -> set[str]:
        """The modalities of the attached sensors that work, or will once they are open."""
        states = ("opening", "attached", "recovered", "doubtful", "asleep", "woken")
        return {life.modality for life in self._lives.values() if life.reported.kind in states}

    @property
    def starting(self) -> set[str]:
        """The modalities of open sensors whose first sample is worth waiting for."""
        # No sensor twice: a dead one would delay the others.
        return {
            life.modality
            for life in self._silent
            if life.modality not in self._active and not life.waited_for
        }

    @property
    def sensors(self) -> tuple[SensorView, ...]:
        """The sensors that left last, and the attached ones in the order of attaching."""
        gone: list[tuple[Event, _Life | None]] = [(event, None) for event in self._gone.values()]
        return tuple(
            SensorView(
                event.modality,
                event.sensor,
                self.specs[event.modality].device or "",
                event.kind,
                event.reason,
                event.time,
                active=life is not None and self._active.get(event.modality) is life,
                standby=life is not None and self._active.get(event.modality, life) is not life,
                retry_at=None if life is None else life.retry_at,
            )
            for event, life in (*gone, *((life.reported, life) for life in self._lives.values()))
        )

    # Inputs.

    def attach(
        self, key: int, modality: str, title: str, now: float, *, played: bool, pushed: bool = False
    ) -> str:
        """Add a sensor and order to open it; return its name, numbered if another one has it.

        `key` must be new; `played` is that of a `Sensor`; one that is `pushed` is never reopened for silence.
        """
        self._note_time(now)
        name = free_name(printable(title), {life.name for life in self._lives.values()})
        spec = self.specs[modality]
        under = ", ".join(str(one) for one in self._conditions if one.modality == modality)
        condition = f"under {under}" if under else ""
        opening = Event(self._now, "opening", modality, name)
        life = _Life(key, name, spec, played, pushed, condition, kind_of(spec), self._ran.seconds, opening)
        self._gone.pop(name, None)
        self.over = False
        self._lives[key] = life
        self._order(life, "open")
        if (active := self._active.get(modality)) is not None:
            self._report_active(active)  # now that it is one of several
        return name

    def opened(self, key: int, now: float) -> None:
        """Note that a sensor is open."""
        self._note_time(now)
        if (life := self._lives.get(key)) is not None:
            self._note_answer(life)
            life.began, life.state = now, ("recovered", "")
            life.health = Health(life.spec, self._limits(life), now, life.suspected)

    def ready(self, key: int, now: float) -> None:
        """Note that what an open sensor's samples need is loaded: from now on the sensor is read."""
        self._note_time(now)
        life = self._lives.get(key)
        if life is None or life.phase != "opening":
            return
        life.phase, life.hasty = "open", False
        self._note_answer(life)
        self._report(life, "attached", life.conditions)
        self._note_health(life, life.suspected, ())
        if life.doomed:
            self._lose(life, life.doomed)
        elif life.sleeping:
            self._fall_asleep(life, "")

    def gave(self, key: int, sample: Sample | None, now: float) -> None:
        """Take the next sample of a sensor; None where none came for a while."""
        self._note_time(now)
        life = self._lives.get(key)
        if life is not None and life.phase == "open":
            self._note_answer(life)
            try:
                self._examine(life, sample)
            except Exception as error:  # noqa: BLE001 - whatever its samples lead to is the sensor's failure
                self._fail(life, error)

    def failed(self, key: int, error: BaseException, now: float) -> bool:
        """Note what a sensor raised; return whether that is the first such error of its code."""
        self._note_time(now)
        life = self._lives.get(key)
        return life is not None and self._fail(life, error)

    def closed(self, key: int, now: float) -> None:
        """Note that a sensor is closed; it is opened again after a while."""
        self._note_time(now)
        life = self._lives.get(key)
        if life is None or life.phase != "closing":
            return
        if life.reported.kind == "asleep":
            life.phase = "asleep"
            return
        if life.reported.kind == "woken":  # while it was closed
            self._open(life)
            return
        life.phase, life.retry_at = "waiting", now + life.backoff.next()
        if life.hasty:
            self._open(life)

    def detach(self, name: str, now: float) -> bool:
        """Remove a sensor, whose modality leaves the live set at once; False if it is not attached."""
        self._note_time(now)
        if (life := self._called(name)) is None:
            event = self._gone.get(name)
            if event is not None and event.kind != "detached":  # nobody needs to mend it any more
                self._gone[name] = Event(self._now, "detached", event.modality, name)
            return False
        self._report(life, "detached", "")
        self._remove(life)
        self._leave(life)
        self._order(life, "end")
        return True

    def retry(self, name: str, now: float) -> bool:
        """Open a lost sensor again now; False if it is not attached."""
        self._note_time(now)
        life = self._called(name)
        if life is not None and life.reported.kind in ("lost", "unavailable"):
            life.hasty = True
            if life.phase == "waiting":
                self._open(life)
        return life is not None

    def lose(self, name: str, reason: str, now: float) -> bool:
        """Treat a sensor as lost, though it may still give samples; False if it is not attached."""
        self._note_time(now)
        life = self._called(name)
        if life is not None and life.phase == "opening":  # its device may go while it is opened
            life.doomed = reason
        elif life is not None and life.phase == "open":
            self._lose(life, reason)
        elif life is not None and life.reported.kind == "asleep":  # nothing else would find it for minutes
            self._report(life, "lost", f"{life.name}: {reason}")
            if life.phase == "asleep":
                life.phase, life.retry_at = "waiting", now + life.backoff.next()
        return life is not None

    def spare(self, asleep: Mapping[str, str], woken: Mapping[str, str]) -> None:
        """Let the sensors of some modalities sleep, and wake those of all others; both say why, by modality.

        One that sleeps is closed. It is not lost, and its encoder stays loaded. The reader of one that is
        played goes on, its samples unused. One that is pushed stays awake: nobody here can release it.
        """
        for life in self._lives.values():
            if life.modality in asleep and not life.sleeping and not life.pushed:
                life.sleeping = True
                if life.phase == "open":
                    self._fall_asleep(life, asleep[life.modality])
            elif life.modality not in asleep and life.sleeping:
                life.sleeping = False
                if life.reported.kind == "asleep":
                    self._report(life, "woken", woken.get(life.modality, ""))
                    if life.played:
                        self._report(life, "attached", life.conditions)
                    elif life.phase == "asleep":
                        self._open(life)

    def stop_waiting(self, modalities: Collection[str]) -> None:
        """Wait no longer for the first samples of `modalities`."""
        for life in self._silent:
            life.waited_for |= life.modality in modalities

    # Outputs.

    def advance(self, now: float) -> list[Any]:
        """Let time pass up to `now`; return, in order, all that follows since the last call.

        That is each `ReaderOrder`, each `UsedSample`, and each event.
        """
        self._note_time(now)
        self._do_what_is_due()
        out, self._out = self._out, []
        return out

    def deadline(self) -> float | None:
        """Return the time at which to call `advance` if no input comes before; None for never."""
        times = [life.retry_at for life in self._lives.values() if life.retry_at is not None]
        awaited = filter(self._is_awaited, self._lives.values())
        times += [self._now + min(self._patience(life), GAP) for life in awaited]
        return min(times, default=None)

    # What an engine adds.

    def _push(self, name: str, sample: Sample) -> None:
        """Use a sample of the active sensor `name`; SampleError if it is not of the spec's form."""
        self._out.append(UsedSample(name, sample))

    def _is_pending(self, modality: str) -> bool:  # noqa: ARG002 - a recording works on nothing
        """Return whether a window of `modality` still waits for its prediction."""
        return False

    def _modality_left(self, modality: str, *, ended: bool, needed: bool) -> None:
        """Note that no active sensor of `modality` is left; `needed`: another one is attached.

        If its source has `ended`, its last embedding stays until it expires; otherwise it leaves now.
        """

    def _note_time(self, now: float) -> None:
        self._now = max(self._now, now)  # so that events are in the order of their times
        self._ran.look(self._now)

    def _do_what_is_due(self) -> None:
        """Retry sensors, resume those whose last window was answered, report code that does not return."""
        for life in [*self._lives.values()]:
            if self._is_awaited(life) and self._patience(life) <= ROUNDING:
                life.is_overdue = True
                _, kind, text = PATIENCE[life.phase]
                if kind == "unhealthy":
                    self._note_health(life, (text,), ())
                else:
                    self._report(life, kind, text.format(name=life.name))
            elif life.retry_at is not None and life.retry_at <= self._now:
                self._open(life)
            elif (life.held or life.phase == "ending") and not self._awaits(life):
                if life.held is not None:
                    sample, life.held = life.held, None
                    self._order(life, "resume")
                    self._use(life, sample)
                else:
                    self._close(life, "ended", life.end)

    def _is_awaited(self, life: _Life) -> bool:
        """Return whether a sensor's code is called now, and was not reported to be overdue."""
        return life.phase in PATIENCE and not life.is_overdue and not life.played

    def _patience(self, life: _Life) -> float:
        """Return the seconds after which a sensor's code is overdue."""
        return PATIENCE[life.phase][0] - (self._ran.seconds - life.answered)

    def _note_answer(self, life: _Life) -> None:
        """Note that a sensor's code has returned, or is called."""
        life.answered, life.is_overdue = self._ran.seconds, False

    def _awaits(self, life: _Life) -> bool:
        """Return whether the last window of an active sensor is still to be answered."""
        return self._active.get(life.modality) is life and self._is_pending(life.modality)

    def _examine(self, life: _Life, sample: Sample | None) -> None:
        health = life.health
        assert health is not None  # noqa: S101 - it is open
        if sample is not None and self._now - life.began > life.backoff.delay:
            life.backoff.reset()  # a sensor that works for a shorter time has not recovered
            life.raised.clear()
        wrong = health.check(sample, self._now, self._partner_lag(life))
        life.lag = health.lag if self._limits(life) is not PLAYED else None
        self._note_health(life, wrong, health.doubts + self._lateness(life))
        if health.must_reopen and not life.pushed:
            life.suspected = () if health.stalled else wrong  # one sample clears a stall
            self._lose(life, f"{'; '.join(wrong)}; it is reopened")
            return
        if not wrong:
            life.suspected = ()
        if sample is None or wrong or life.sleeping:
            return
        if sample.modality != life.modality:
            raise SampleError(f"{life.modality}: gave a sample of {sample.modality}")
        if life.played and not life.kind.steady and self._awaits(life):  # every caption of a file is answered
            life.held = sample
            self._order(life, "pause")
        else:
            self._use(life, sample)

    def _use(self, life: _Life, sample: Sample) -> None:
        modality = life.modality
        life.sampled, life.waited_for = True, False
        attached = (other for other in reversed(self._lives.values()) if other.modality == modality)
        if next((other for other in attached if other.sampled), None) is not life:
            return
        if self._active.get(modality) is not life:
            self._active[modality] = life
            self._report_active(life)
            sample = replace(sample, cut=True)
        try:
            self._push(life.name, sample)
        except Exception as error:  # noqa: BLE001 - whatever its samples lead to is the sensor's failure
            self._fail(life, error)

    def _note_health(self, life: _Life, wrong: tuple[str, ...], doubts: tuple[str, ...]) -> None:
        kind: SensorState = "unhealthy" if wrong else "doubtful" if doubts else "recovered"
        before, life.state = life.state, (kind, "; ".join(wrong + doubts))
        if life.state != before:
            self._report(life, *life.state)
            if wrong:
                self._leave(life)

    def _lose(self, life: _Life, reason: str) -> None:
        self._close(life, "lost", f"{life.name}: {reason}")

    def _fail(self, life: _Life, error: BaseException) -> bool:
        if life.phase == "ending":  # it cannot be closed; nobody opens it again
            return False
        kind, reason = explain(error)
        own = isinstance(error, SensorCodeError) or not isinstance(error, SensembleError | OSError)
        times = _count(life, error) if own else 0
        if times == ALIKE:
            kind, reason = "failed", f"{reason}, {times} times in a row; mend the sensor's code"
        if kind == "ended" and self._awaits(life):
            life.phase, life.end = "ending", reason
        else:
            self._close(life, kind, reason)
        return times == 1

    def _close(self, life: _Life, kind: SensorState, reason: str) -> None:
        """Report why a sensor goes, and close it, for good or until it is tried again."""
        self._report(life, kind, reason)  # before it leaves: the cause comes first
        self._leave(life, ended=kind == "ended")
        life.health, life.lag = None, None
        if kind in ("ended", "failed"):
            self._remove(life)
            self.over = not self._lives
            self._order(life, "end")
        else:
            life.phase = "closing"
            self._note_answer(life)
            self._order(life, "close")

    def _fall_asleep(self, life: _Life, reason: str) -> None:
        self._report(life, "asleep", reason)
        self._leave(life, stays=True)
        if not life.played:
            life.health, life.lag, life.phase = None, None, "closing"
            self._note_answer(life)
            self._order(life, "close")

    def _open(self, life: _Life) -> None:
        if life.hasty:
            life.backoff.reset()
        life.phase, life.retry_at, life.hasty, life.doomed = "opening", None, False, ""
        self._note_answer(life)
        self._order(life, "open")

    def _leave(self, life: _Life, *, ended: bool = False, stays: bool = False) -> None:
        modality = life.modality
        life.sampled, life.held = False, None
        active = self._active.get(modality) is life
        if active:
            del self._active[modality]
        if modality not in self._active:
            # The last embedding of an ended source holds until it expires, as do those of others when a
            # sensor that was never active leaves.
            needed = stays or self._has_other(life)
            self._modality_left(modality, ended=ended or not active, needed=needed)

    def _remove(self, life: _Life) -> None:
        self._lives.pop(life.key, None)
        self._gone[life.name] = life.reported
        if len(self._gone) > GONE:
            del self._gone[next(iter(self._gone))]

    @property
    def _silent(self) -> list[_Life]:
        lives = self._lives.values()  # captions come at any time
        return [x for x in lives if x.reported.kind == "attached" and not x.sampled and x.spec.hop > 0]

    def _called(self, name: str) -> _Life | None:
        return next((life for life in self._lives.values() if life.name == name), None)

    def _has_other(self, life: _Life) -> bool:
        return any(x.modality == life.modality for x in self._lives.values() if x is not life)

    def _limits(self, life: _Life) -> Thresholds:
        return PLAYED if life.played or not self._health else self._health

    def _partner_lag(self, life: _Life) -> float | None:
        """Return the lag of the active sensor that this one must not drift from, or None."""
        partner = life.kind.partner
        active = self._active.values() if partner else ()
        return next((other.lag for other in active if other.spec.kind == partner), None)

    def _lateness(self, life: _Life) -> tuple[str, ...]:
        """Return the finding that an active sensor is too late to be pooled with the others."""
        if life.lag is None or not life.kind.steady or self._limits(life).late == math.inf:
            return ()
        others = [other for other in self._active.values() if other is not life and other.kind.steady]
        lags = [other.lag for other in others if other.lag is not None]
        is_late = lags and life.lag - min(lags) > self._skew
        return (f"it is {self._skew:g} s later than the others, and not pooled with them",) if is_late else ()

    def _order(self, life: _Life, act: Act) -> None:
        self._out.append(ReaderOrder(life.key, act))

    def _report(self, life: _Life, kind: SensorState, reason: str) -> None:
        if (life.reported.kind, life.reported.text) != (kind, reason):
            life.reported = Event(self._now, kind, life.modality, life.name, reason)
            self._out.append(life.reported)

    def _report_active(self, life: _Life) -> None:
        """Report the active sensor, unless that is known, or it has always been the only one."""
        known = self._named.get(life.modality)
        if known != life.name and (known is not None or self._has_other(life)):
            self._named[life.modality] = life.name
            self._out.append(Event(self._now, "active", life.modality, life.name))


def _count(life: _Life, error: BaseException) -> int:
    """Count an error of a sensor's code; return how often this place raised it since the sensor worked."""
    calls = tuple((frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__))
    key = type(error), calls, *getattr(error, "__notes__", ())  # the calls in its own process
    life.raised[key] += 1
    return life.raised[key]
