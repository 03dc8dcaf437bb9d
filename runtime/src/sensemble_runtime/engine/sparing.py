"""Sparing: which sensors are needed now; the others sleep, their devices released.

The sensors are ordered by what they cost (`SparingCalibration.order`). Those of the first place are always
on. The next place is needed while the answer of the places before it is less confident than `wake`, and for
`hold` seconds more. So a sensor is woken by the doubt that cheaper ones leave, and sleeps by itself.

Where a place has no sensor that works, the next is asked in its stead.

These wake sensors, too: the beginning of a session, which tries each of them; an earlier sensor that gives
nothing; a sensor that contradicts the others, for more witnesses settle it; `CHECK` seconds of sleep, which
find a dead sensor before it is needed; and a call of `wake`. If the earlier sensors know nothing for `EMPTY`
seconds, as in an empty room, the next one sleeps until they do.

To ask the next sensor only where one is unsure chooses where one stops: answers that are calibrated one by
one are then more often sure and wrong. So the answers have a threshold of their own, fitted on what this very
code answers to `calibrate` (`auditing.sparing_fit`).

For one thread at a time; times are given, and rise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sensemble_runtime.bundle.manifest import SparingCalibration
from sensemble_runtime.subsets import Subset

CHECK = 300.0  # seconds of sleep after which a sensor is tried
SETTLING = 10.0  # seconds that a woken sensor has for its first answer, before it counts as silent
EMPTY = 30.0  # seconds in which nothing is known, after which that wakes nobody
ASKED = 60.0  # seconds that all sensors stay on when one asks for it

NOT_FITTED = "export it again, with a higher --sparing-loss if that says so"
"""The remedy for a bundle without a `SparingCalibration`."""

Cause = Literal["unsure", "unknown", "silent", "suspect", "check", "asked"]


def prefixes(order: Sequence[Sequence[str]]) -> list[Subset]:
    """Return the modalities of the first place, of the first two, and so on."""
    return [tuple(sorted(m for place in order[: n + 1] for m in place)) for n in range(len(order))]


@dataclass(frozen=True, slots=True)
class Waking:
    """A place of the order that was asleep and is needed, and why."""

    place: int
    cause: Cause


class Sparing:
    """Decides how many places of the order are needed.

    Attributes:
        order: the modalities of each place.
        needed: the number of places, from the first on.
    """

    def __init__(self, calibration: SparingCalibration, now: float) -> None:
        self.order, places = calibration.order, len(calibration.order)
        self._wake, self._hold = calibration.wake, calibration.hold
        self.needed = places
        self._until = [math.inf] + [now + self._hold] * (places - 1)
        self._woken = [now] * places  # when each was woken last
        self._slept = [math.inf] * places  # since when each sleeps
        self._settled = [False] * places  # whether it answered since then
        self._unknown = [math.inf] * places  # since when those before it know nothing
        self._suspected = False

    def note(
        self,
        time: float,
        confidences: Sequence[float],
        live: Sequence[bool | None],
        *,
        suspect: bool = False,
    ) -> list[Waking]:
        """Take the answers of one moment; return what they wake.

        Args:
            confidences: of the answer of the first place, of the first two, ...; 0 for one without evidence.
            live: whether the sensors of each place give windows; None if none is there that works.
            suspect: whether one sensor contradicts the others.
        """
        for place in range(self.needed):
            if live[place] and not self._settled[place]:
                self._settled[place] = True
                self._until[place] = max(self._until[place], time + self._hold)
        found, is_heard = self.pass_to(time), False
        for place in range(1, len(self._until)):
            before = place - 1
            heard = live[before]
            if heard is False and time < self._settles(before):
                break
            is_heard = is_heard if heard is None else heard  # without a sensor, those before it answer
            confidence = confidences[before]
            is_unknown = is_heard and not confidence
            self._unknown[place] = min(self._unknown[place], time) if is_unknown else math.inf
            if is_heard and (confidence >= self._wake or time - self._unknown[place] >= EMPTY):
                break
            cause: Cause = "unknown" if is_unknown else "unsure" if is_heard else "silent"
            found += self._need(place, time, self._hold, cause)
        if suspect and not self._suspected:
            found += self._need(len(self._until) - 1, time, self._hold, "suspect")
        self._suspected = suspect
        return found

    def pass_to(self, time: float) -> list[Waking]:
        """Let time pass: send to sleep what is not needed any more; return what must be tried."""
        needed = max(place for place in range(len(self._until)) if self._over(place) > time) + 1
        for place in range(needed, self.needed):
            self._slept[place] = time
        self.needed = min(needed, self.needed)
        found = list[Waking]()
        for place in range(self.needed, len(self._until)):
            if time >= self._slept[place] + CHECK:  # as `deadline` says, to the last bit
                found += self._need(place, time, self._hold, "check")
        return found

    def wake(self, time: float) -> list[Waking]:
        """Wake all sensors for `ASKED` seconds."""
        return [*self.pass_to(time), *self._need(len(self._until) - 1, time, ASKED, "asked")]

    @property
    def deadline(self) -> float:
        """The time at which to call `pass_to` if no answer comes before."""
        checks = (self._slept[place] + CHECK for place in range(self.needed, len(self._until)))
        return min((self._over(self.needed - 1), *checks))

    def _settles(self, place: int) -> float:
        """Return until when a woken place may be without an answer."""
        return -math.inf if self._settled[place] else self._woken[place] + SETTLING

    def _over(self, place: int) -> float:
        """Return until when a place stays on: not before it and the first had time for an answer."""
        return max(self._until[place], self._settles(place), self._settles(0))

    def _need(self, place: int, time: float, seconds: float, cause: Cause) -> list[Waking]:
        """Keep the places up to one on, and wake those that sleep."""
        self._until[place] = max(self._until[place], time + seconds)
        woken = range(self.needed, place + 1)
        for other in woken:
            self._woken[other], self._settled[other] = time, False
        self.needed = max(self.needed, place + 1)
        return [Waking(other, cause) for other in woken]
