"""Random scripts of inputs to an engine, which must keep its promises whatever comes."""

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sensemble_runtime.engine.live_set import PoppedWindow
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.supervision.backoff import RETRY
from sensemble_sensors.supervision.events import STATES, Event
from sensemble_sensors.thresholds import DEFAULT, Thresholds

from tests.runtime.engine.bench import SPECS, Bench

DEATHS = ("lost", "unavailable", "unhealthy", "detached", "failed")
SOME = st.integers(0, 99)  # chooses one of those that are there


class Watched(Bench):
    """A bench that knows which modalities may be live, and which windows are owed a prediction."""

    def __init__(self, policy: Policy, health: Thresholds | None) -> None:
        super().__init__(policy, health)
        self.align, self.skew = policy.align, policy.skew
        self.alive: set[str] = set()  # encoded since the death of their sensor or encoder
        self.causes: set[str] = set()  # modalities with a reason to leave since the last live set
        self.deaths = dict.fromkeys(SPECS, 0)
        self.of_window: dict[str, int] = {}  # the number of deaths when its encoding began
        self.ends: dict[str, list[float]] = {m: [] for m in SPECS}  # of the windows that were encoded
        self.owed: dict[str, float] = {}  # by when a prediction from it must come

    def ordered(self, window: PoppedWindow) -> None:
        self.of_window[window.modality] = self.deaths[window.modality]

    def encode(self, modality: str, label: int = 0) -> None:
        end = self.windows[modality].window.time
        if self.of_window[modality] == self.deaths[modality]:
            self.alive.add(modality)
            self.ends[modality].append(end)
            if end + SPECS[modality].ttl > self.now + self.align:
                self.owed[modality] = self.now + self.align
        super().encode(modality, label)

    def reported(self, item: Prediction | Event) -> None:
        times = [earlier.time for earlier in self.items[-2:]]
        assert times == sorted(times), "events in order"
        if isinstance(item, Prediction):
            assert {*item.live} <= self.alive, "nothing dead is pooled"
            assert all(0 <= age <= SPECS[m].ttl for m, age in item.ages.items())
            assert np.isfinite(item.probabilities).all()
            for modality in item.latencies:
                self.owed.pop(modality, None)
        elif item.kind == "live":
            newest = max((end for m in self.alive if SPECS[m].hop for end in self.ends[m][-2:]), default=0.0)
            for m in {*[(), *self.live][-2]} - {*item.live}:
                # The last window may not be in a prediction yet.
                old = any(
                    end + SPECS[m].ttl < item.time or newest - end > self.skew for end in self.ends[m][-2:]
                )
                assert old or m in self.causes, "causes first"
            self.causes.clear()
        elif item.kind in (*DEATHS, "ended"):
            self.gone(item)
        elif item.kind == "active":
            self.active[item.modality] = item.sensor
        elif item.kind in ("encoder failed", "encoder works again", "suspect", "agrees again"):
            self.causes.add(item.modality)

    def gone(self, item: Event) -> None:
        if self.active.get(item.modality) == item.sensor:
            del self.active[item.modality]
            if item.kind != "ended":  # what it said last holds
                self.die(item.modality)
        elif item.kind == "failed":  # its first sample took over, and no encoder takes it
            self.causes.add(item.modality)

    def fail_encoder(self, modality: str) -> None:
        del self.windows[modality]
        self.die(modality)
        self.tell("encoder_failed", modality, RuntimeError("out of memory"))

    def die(self, modality: str) -> None:
        self.alive.discard(modality)
        self.owed.pop(modality, None)
        self.causes.add(modality)
        self.deaths[modality] += 1


class Twins:
    """Two equal benches that get equal inputs; attributes are those of the first."""

    def __init__(self, policy: Policy, health: Thresholds | None) -> None:
        self.both = Watched(policy, health), Watched(policy, health)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any attribute
        first, second = (getattr(bench, name) for bench in self.both)
        return (
            (lambda *told, **more: (first(*told, **more), second(*told, **more))[0])
            if callable(first)
            else first
        )

    @property
    def answers(self) -> list[list[object]]:
        """The outputs and the state of each bench so far."""
        return [
            [
                *(
                    (i.time, i.live, i.ages, i.probabilities.tolist(), i.doubt, i.lies)
                    if isinstance(i, Prediction)
                    else i
                    for i in bench.items
                ),
                bench.readers,
                bench.freed,
                {m: window.window.time for m, window in bench.windows.items()},
            ]
            for bench in self.both
        ]


class Machine(RuleBasedStateMachine):
    """Sensors that come, go, fail and lie, encoders that are slow or fail, in any order. It holds that

    - nothing dead is pooled, and the live set has only what was encoded since its sensor's last loss;
    - every loss has a retry or an end: an attached sensor is open, ordered to open or close, or waits for a
      try that comes within the longest backoff;
    - no window is lost by another's fault: what was encoded is in a prediction within the alignment, and when
      encoders finish, no complete window waits for ever;
    - orders fit: a reader is opened only when it is closed, an encoder gets one window at a time;
    - equal inputs give equal outputs;
    - events are in order of their times, and a modality that leaves the live set has a cause before that;
    - no deadline has passed, or a driver would spin;
    - the view of this moment says what the events so far say.
    """

    @initialize(
        align=st.sampled_from([0.0, 0.01, 0.2]), budget=st.sampled_from([1.0, 0.2]), checked=st.booleans()
    )
    def begin(self, align: float, budget: float, *, checked: bool) -> None:
        self.bench = Twins(Policy(align=align, budget=budget), DEFAULT if checked else None)

    def of(self, *states: str) -> list[int]:
        return [key for key, state in self.bench.readers.items() if state in states]

    @precondition(lambda self: len(self.of("idle", "opening", "reading", "paused", "closing")) < 5)
    @rule(modality=st.sampled_from(sorted(SPECS)), played=st.booleans(), name=st.sampled_from("ab"))
    def attach(self, modality: str, name: str, *, played: bool) -> None:
        self.bench.attach(modality, name, played=played, open_now=False)

    @precondition(lambda self: self.of("opening"))
    @rule(which=SOME, fails=st.sampled_from([False, False, True]))
    def open(self, which: int, *, fails: bool) -> None:
        key = self.of("opening")[which % len(self.of("opening"))]
        if fails:
            self.bench.fail(key, SensorUnavailableError("no such device"))
        else:
            self.bench.open(key)

    @precondition(lambda self: self.of("reading"))
    @rule(
        which=SOME,
        count=st.integers(1, 4),
        gap=st.sampled_from([0.0, 0.02, 0.1]),
        late=st.sampled_from([0, 0, 0.3, 9]),
    )
    def give(self, which: int, count: int, gap: float, late: float) -> None:
        key = self.of("reading")[which % len(self.of("reading"))]
        for _ in range(count):
            if self.bench.readers[key] == "reading":
                self.bench.give(key, at=self.bench.now - late)
                self.bench.wait(gap)

    @precondition(lambda self: self.of("reading"))
    @rule(which=SOME, what=st.sampled_from(["nothing", "of another kind", "lost", "code", "ended"]))
    def misbehave(self, which: int, what: str) -> None:
        key = self.of("reading")[which % len(self.of("reading"))]
        if what == "nothing":
            self.bench.tell("gave", key, None)
        elif what == "of another kind":
            self.bench.give(key, np.zeros(3))
        elif what == "ended":
            self.bench.end(key)
        else:
            self.bench.fail(key, ZeroDivisionError("in the driver") if what == "code" else None)

    @precondition(lambda self: self.of("closing"))
    @rule(which=SOME)
    def close(self, which: int) -> None:
        self.bench.close(self.of("closing")[which % len(self.of("closing"))])

    @precondition(lambda self: self.bench.names)
    @rule(which=SOME, act=st.sampled_from(["detach", "retry", "lose"]))
    def ask(self, which: int, act: str) -> None:
        name = self.bench.names[which % len(self.bench.names)]
        self.bench.tell(act, name, *(["was unplugged"] if act == "lose" else []))

    @precondition(lambda self: self.bench.windows)
    @rule(which=SOME, label=st.integers(0, 2), fails=st.sampled_from([False, False, False, True]))
    def encode(self, which: int, label: int, *, fails: bool) -> None:
        modality = sorted(self.bench.windows)[which % len(self.bench.windows)]
        if fails:
            self.bench.fail_encoder(modality)
        else:
            self.bench.encode(modality, label)

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.1, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.bench.wait(seconds)

    @invariant()
    def holds(self) -> None:
        bench = self.bench
        due = bench.engine.deadline()
        assert due is None or due > bench.now
        assert {*bench.engine.live(bench.now)} <= bench.alive
        assert all(bench.now < until for until in bench.owed.values())
        retries = bench.retries
        for key in self.of("idle"):
            assert bench.now < retries[bench.names[key]] <= bench.now + RETRY[1]
        assert len(retries) == len(self.of("idle"))
        self.check_view()

    def check_view(self) -> None:
        """Compare the view of this moment with what an output of all events so far rebuilds."""
        bench, view = self.bench, self.bench.engine.view(self.bench.now)
        events = [item for item in bench.items if isinstance(item, Event)]
        states = {event.sensor: (event.kind, event.time) for event in events if event.kind in STATES}
        for one in view.sensors:
            told = states.get(one.name, ("", 0.0))
            over = told[0] in ("ended", "failed") and one.state == "detached"  # it was asked to leave, too
            assert one.state == "opening" or over or (one.state, one.since) == told
            assert not (one.active and bench.active[one.modality] != one.name)
        there = [bench.names[key] for key in bench.readers if bench.readers[key] != "over"]
        assert [one.name for one in view.sensors if one.attached] == there
        live = next((event.live for event in reversed(events) if event.kind == "live"), ())
        assert {*view.live} <= {*live}
        assert (view.prediction is None) == (view.live == ()) == (live == ())
        noted = {event.modality: event for event in events if event.kind in ("suspect", "agrees again")}
        assert all(noted[event.modality] == event for event in view.faults if event.kind == "suspect")

    def teardown(self) -> None:
        bench = self.bench
        first, second = bench.answers
        assert first == second
        for _ in range(30):
            for modality in sorted(bench.windows):
                bench.encode(modality)
            bench.wait(1.0)
        assert not bench.windows
        assert not self.of("ended")
        assert bench.engine.deadline() in (None, *bench.retries.values()), "nothing waits for ever"


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase


def test_no_encoder_starves_under_a_budget() -> None:
    """Ten seconds of three encoders, each of which alone would need more than there is."""
    bench = Bench(Policy(budget=0.5))
    keys = {modality: bench.attach(modality) for modality in SPECS}
    counts = dict.fromkeys(SPECS, 0)
    done: dict[str, float] = {}
    for _ in range(200):
        for key in keys.values():
            bench.give(key)
        done |= {m: bench.now + 0.12 for m in bench.windows if m not in done}
        for modality in [m for m, time in done.items() if time <= bench.now]:
            bench.encode(modality)
            counts[modality] += 1
            del done[modality]
        bench.wait(0.05)
    assert min(counts.values()) >= 8
    assert {event.modality for event in bench.events if event.kind == "overload"} == {"audio", "video"}
    assert 0.12 * sum(counts.values()) <= 0.5 * 10 + 5 * 0.12 * 3, "beside the first, which are measured"
