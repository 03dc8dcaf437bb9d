"""Decide when each encoder runs: every hop, or less often if all exceed the budget. Times are given."""

import math
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import Event

from sensemble_runtime.errors import SensembleRuntimeError

MEASURED = 5  # latencies whose median is a modality's cost: neither a first run nor a hiccup is overload
_MOST_THREADS = 256  # of a pool; thousands exhaust the system
CALMER = 0.8  # a stretched hop shrinks once this share of the budget suffices, so that it does not flutter

Unfamiliar = Literal["leave", "pool"]


class PolicyError(SensembleRuntimeError):
    """A field of a policy is out of its range."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules by which a session spends the processor.

    Attributes:
        threads: as `Bundle.threads`.
        budget: the share of the time for which the session may encode, in (0, 1]; under overload, modalities
            share it by max-min fairness.
        skew: windows that end within so many seconds are pooled together. Captions hold until they expire.
        align: seconds that a complete window waits for other modalities' windows that are due.
        duty: reuse the last embedding where a window has not changed (`Kind.least_change`).
        unfamiliar: `leave`: a modality leaves the live set while its newest window is unfamiliar, or it
            contradicts the others (`Belief`); without another, there is no evidence. `pool`: both are
            reported, and count.
        sparing: let sensors sleep that are not needed (`engine.sparing`), by the bundle's policy.

    Raises:
        PolicyError: a field is out of its range.
    """

    threads: int = 0
    budget: float = 1.0
    skew: float = 2.0
    align: float = 0.01
    duty: bool = False
    unfamiliar: Unfamiliar = "leave"
    sparing: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1:
            raise PolicyError(f"budget {self.budget}: give a share of the time, above 0 and at most 1")
        if not 0 <= self.threads <= _MOST_THREADS:
            raise PolicyError(f"threads {self.threads}: give 0 to {_MOST_THREADS}")
        if not self.skew >= 0:
            raise PolicyError(f"skew {self.skew}: give seconds, 0 or more")
        if not 0 <= self.align < math.inf:
            raise PolicyError(f"align {self.align}: give seconds, 0 or more, but not infinitely many")
        if self.unfamiliar not in get_args(Unfamiliar):
            raise PolicyError(f"unfamiliar {self.unfamiliar}: give {' or '.join(get_args(Unfamiliar))}")


class Scheduler:
    """Decides which of the complete windows are encoded now.

    While the encoders need less than the budget, each window is encoded as it completes. Otherwise an encoder
    that needs more than its share gets a longer hop: its cost divided by its share. Windows in between are
    dropped.
    """

    def __init__(self, policy: Policy, specs: Mapping[str, InputSpec]) -> None:
        self._policy = policy
        self._specs = specs
        self._latencies: dict[str, deque[float]] = {}
        self._costs: dict[str, float] = {}  # the median of enough latencies
        self._began: dict[str, float] = {}  # when it was last encoded
        self._gaps: dict[str, float] = {}  # seconds between its last two encodings
        self._stretch: dict[str, tuple[int, Event]] = {}  # as it was last reported

    def turn(self, modality: str, attached: Collection[str], now: float) -> float:
        """Return the time from which the next window of `modality` may be encoded."""
        return self._began.get(modality, -math.inf) + self._intervals(attached, now).get(modality, 0.0)

    def spent(self, modality: str, began: float, seconds: float) -> None:
        """Note an encoding: when it began, and the seconds it took."""
        self._gaps[modality] = began - self._began.get(modality, -math.inf)
        self._began[modality] = began
        latencies = self._latencies.setdefault(modality, deque(maxlen=MEASURED))
        latencies.append(seconds)
        if len(latencies) == MEASURED:
            self._costs[modality] = median(latencies)

    @property
    def overloads(self) -> list[Event]:
        """The event of each modality whose hop is longer than its spec's."""
        return [event for stretch, event in self._stretch.values() if stretch > 1]

    def changes(self, attached: Collection[str], now: float) -> list[Event]:
        """Return an event for each hop that has changed since the last call."""
        intervals, tighter = (self._intervals(attached, now, share) for share in (1.0, CALMER))
        events = []
        for modality in attached:
            hop = self._specs[modality].hop
            if hop == 0:
                continue
            before = self._stretch[modality][0] if modality in self._stretch else 1
            after, calmer = (
                max(1, math.ceil(of.get(modality, 0.0) / hop - 1e-9)) for of in (intervals, tighter)
            )
            if after > before or calmer < before:
                kind = "overload" if after > 1 else "no overload"
                events.append(Event(now, kind, modality, text=f"encoded every {after * hop:g} s"))
                self._stretch[modality] = after, events[-1]
        return events

    def _intervals(self, attached: Collection[str], now: float, share: float = 1.0) -> dict[str, float]:
        """Return the seconds between two starts of each encoder that exceeds its part of `share` * budget."""
        budget = share * self._policy.budget
        costs = {m: self._costs[m] for m in attached if m in self._costs}
        demands = {}
        for modality, cost in costs.items():
            # Captions have no hop: the time between the last two, or since the last, stands for it.
            since = max(now - self._began[modality], self._gaps[modality])
            hop = self._specs[modality].hop or max(since, cost)
            demands[modality] = cost / hop if cost else 0.0
        if sum(demands.values()) <= budget:
            return {}
        shares = fair_shares(demands, budget)
        return {m: costs[m] / shares[m] for m in costs if shares[m] < demands[m]}


def fair_shares(demands: Mapping[str, float], budget: float) -> dict[str, float]:
    """Divide a budget by max-min fairness: none gets more than it demands, and none starves."""
    shares: dict[str, float] = {}
    for name in sorted(demands, key=lambda name: (demands[name], name)):
        shares[name] = min(demands[name], budget / (len(demands) - len(shares)))
        budget -= shares[name]
    return shares
