"""The scheduler alone, in virtual time: an encoder that takes so long, windows that complete so often."""

import math
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.engine.scheduler import MEASURED, Policy, PolicyError, Scheduler, fair_shares
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import Event


def spec(modality: str, hop: float) -> InputSpec:
    return InputSpec(modality, "float32", (1, 1), rate=16000, window=1.0, hop=hop, ttl=2.0)


class Simulation:
    """A single encoding thread; windows complete every hop and are encoded when the scheduler says so."""

    def __init__(self, policy: Policy, hops: Mapping[str, float]) -> None:
        self.scheduler = Scheduler(policy, {m: spec(m, hop) for m, hop in hops.items()})
        self.hops = hops
        self.now = 0.0
        self.events: list[Event] = []
        self.starts: dict[str, list[float]] = {m: [] for m in hops}
        self.next = dict.fromkeys(hops, 0.0)
        self.busy = 0.0

    def run(self, seconds: float, costs: Mapping[str, float], captions: float = math.inf) -> None:
        """Run for `seconds`; a hop of 0 means that a caption comes every `captions` seconds."""
        end = self.now + seconds
        while self.now < end:
            ready = [m for m, at in self.next.items() if at <= self.now]
            began = self.now
            turns = {m: self.scheduler.turn(m, self.hops.keys(), began) for m in ready}
            due = sorted(m for m, turn in turns.items() if turn <= began)
            for modality in due:
                self.starts[modality].append(began)
                self.scheduler.spent(modality, began, costs[modality])
                self.busy += costs[modality]
                self.now += costs[modality]
                hop = self.hops[modality] or captions
                self.next[modality] = (math.floor(began / hop) + 1) * hop if hop < math.inf else math.inf
            self.events += self.scheduler.changes(self.hops.keys(), self.now)
            if not due:
                times = [turns.get(m, at) for m, at in self.next.items()]
                self.now += max(min(times) - self.now, 1e-6)

    def rate(self, modality: str, since: float) -> float:
        return sum(start >= since for start in self.starts[modality]) / (self.now - since)


def test_with_time_enough_every_window_is_encoded_as_it_completes() -> None:
    simulation = Simulation(Policy(), {"audio": 0.5, "video": 0.25})
    simulation.run(20, {"audio": 0.05, "video": 0.02})
    assert simulation.rate("audio", 0) == pytest.approx(2, rel=0.05)
    assert simulation.rate("video", 0) == pytest.approx(4, rel=0.05)
    assert simulation.events == []


def test_a_budget_is_kept_and_the_stretched_hops_are_reported() -> None:
    simulation = Simulation(Policy(budget=0.25), {"text": 0.0, "audio": 0.1, "video": 0.1})
    costs = {"text": 0.0, "audio": 0.02, "video": 0.06}
    simulation.run(10, costs)
    since, busy = simulation.now, simulation.busy
    simulation.run(50, costs)
    share = (simulation.busy - busy) / (simulation.now - since)
    assert 0.9 * 0.25 < share <= 1.02 * 0.25, "used, and not exceeded"
    stretched = {event.modality: event.text for event in simulation.events}
    assert stretched["video"] == "encoded every 0.5 s", "0.06 s for an eighth of the time: every 0.48 s"
    assert stretched["audio"] == "encoded every 0.2 s"
    assert len(simulation.events) == 2, "reported once, without fluttering"


def test_the_overload_ends_and_that_is_reported() -> None:
    simulation = Simulation(Policy(), {"audio": 0.1, "video": 0.1})
    simulation.run(10, {"audio": 0.01, "video": 0.3})
    assert [e.modality for e in simulation.events if e.kind == "overload"][:1] == ["video"]
    assert not any(e.modality == "audio" for e in simulation.events), "audio needs less than its share"
    simulation.run(10, {"audio": 0.01, "video": 0.01})
    last = simulation.events[-1]
    assert (last.modality, last.kind, last.text) == ("video", "no overload", "encoded every 0.1 s")


def test_a_slight_overload_ends_too_and_does_not_flutter() -> None:
    simulation = Simulation(Policy(budget=0.5), {"audio": 0.1})
    for cost in (0.08, 0.051, 0.049, 0.051, 0.049, 0.03):
        simulation.run(10, {"audio": cost})
    assert [event.kind for event in simulation.events] == ["overload", "no overload"]


def test_a_caption_now_and_then_is_no_overload() -> None:
    simulation = Simulation(Policy(budget=0.3), {"text": 0.0, "video": 0.1})
    simulation.run(60, {"text": 0.02, "video": 0.02}, captions=2.0)
    assert simulation.events == []
    assert simulation.rate("video", 10) > 9.8


def test_a_flood_of_captions_leaves_the_others_their_share_and_an_idle_source_claims_none() -> None:
    hops = {"audio": 0.1, "text": 0.0}
    flood = Simulation(Policy(), hops)
    flood.run(30, {"audio": 0.04, "text": 0.02}, captions=0.001)
    assert flood.rate("audio", 5) > 8
    idle = Simulation(Policy(), hops)
    idle.run(30, {"audio": 0.09, "text": 0.02}, captions=5.0)
    assert idle.rate("audio", 5) > 9
    assert len(idle.starts["text"]) in (6, 7)


def test_neither_a_first_run_nor_a_hiccup_is_overload() -> None:
    scheduler = Scheduler(Policy(), {"audio": spec("audio", 0.1)})
    for i in range(50):
        scheduler.spent("audio", i * 0.1, 2.0 if i in (0, 20) else 0.01)
        assert scheduler.turn("audio", ["audio"], (i + 1) * 0.1 - 1e-3) <= (i + 1) * 0.1 - 1e-3
        assert scheduler.changes(["audio"], (i + 1) * 0.1) == []
    assert MEASURED > 2


@given(
    demands=st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.001, 5), min_size=1),
    budget=st.floats(0.01, 1),
)
def test_shares_are_fair(demands: dict[str, float], budget: float) -> None:
    shares = fair_shares(demands, budget)
    assert shares.keys() == demands.keys()
    assert sum(shares.values()) == pytest.approx(min(budget, sum(demands.values())))
    assert all(0 < shares[m] <= demands[m] * (1 + 1e-9) for m in demands)
    short = [m for m in demands if shares[m] < demands[m] * (1 - 1e-6)]
    most = max(shares.values())
    assert all(shares[m] >= most * (1 - 1e-6) for m in short), "what gets less than it demands gets the most"


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("budget", 0.0), ("budget", 1.5), ("threads", -1), ("threads", 257), ("skew", math.nan)),
        *(("align", -1.0), ("align", math.inf), ("unfamiliar", "drop")),
    ],
)
def test_a_policy_out_of_range_is_refused(field: str, bad: object) -> None:
    with pytest.raises(PolicyError, match=rf"^{field} {re.escape(str(bad))}: give "):
        Policy(**{field: bad})  # type: ignore[arg-type]
