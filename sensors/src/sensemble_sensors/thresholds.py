"""Thresholds at which the samples of a sensor count as a fault."""

import math
from dataclasses import dataclass, replace
from typing import Any

BLACK = 4.0  # mean of a picture, from 0 to 255
SILENT = 1e-4  # absolute value of a sample of sound, from 0 to 1
CLIPPED = 0.99  # absolute value of a sample of sound, from 0 to 1
CLIPPED_SHARE = 0.1  # of the samples
CLIPPED_TIME = 1.0  # seconds over which that share is averaged
FLOOD = 150  # samples a second, of sound, pictures and texts; of a kind that floods later, the more
SETTLE = 1.0  # seconds for which a measured rate must stay wrong: streams begin with a jerk
BACKLOG = 0.5  # seconds of queueing delay to ignore: the reader was busy, and the sensor did nothing wrong
DRIFTS = 5.0  # seconds for which a stream must drift: a sound server's delay swells for two on a busy machine


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits beyond which a sensor counts as unhealthy; an infinite one turns its check off.

    Attributes:
        stalled: seconds without a sample from a camera or microphone, after which it is reopened.
        frozen: seconds of identical pictures.
        black: seconds of pictures with a mean below `BLACK`; a brighter picture clears it.
        silent: seconds of sound within `SILENT`; a louder sample clears it: noise gates silence pauses.
        rate: seconds over which the rate is measured; it must stay wrong for one second more.
        sound_rate: largest relative error of the rate of sound.
        picture_rate: least share of the spec's rate that a camera must give.
        flood: seconds of more than `FLOOD` samples a second.
        late: most seconds of lag behind the clock, for 0.5 s; for captions at least their ttl.
        drift: most seconds by which sound and pictures drift further apart, for 5 s.
        recovery: seconds without a finding after which the sensor has recovered.
        reopen: seconds of being unhealthy after which the sensor is reopened.
        doubted: findings that are only reported (`late`, `drift`); the samples are used.
    """

    stalled: float = 3.0
    frozen: float = 2.0
    black: float = 2.0
    silent: float = 3.0
    rate: float = 5.0
    sound_rate: float = 0.06
    picture_rate: float = 0.5
    flood: float = 2.0
    late: float = 3.0
    drift: float = 0.5
    recovery: float = 1.0
    reopen: float = 20.0
    doubted: frozenset[str] = frozenset()

    @property
    def longest(self) -> float:
        """Seconds within which every detectable fault is found."""
        drift = DRIFTS + BACKLOG if self.drift < math.inf else math.inf
        waits = (self.stalled, self.frozen, self.black, self.silent, self.rate + SETTLE)
        return max((wait for wait in (*waits, self.flood, drift) if wait < math.inf), default=0.0)


DEFAULT = Thresholds()
_CHECKS = ("stalled", "frozen", "black", "silent", "rate", "flood", "drift", "reopen")
_OFF: dict[str, Any] = dict.fromkeys(_CHECKS, math.inf)
# For a file that is played: only its clock can be wrong, and late samples are kept.
PLAYED = replace(DEFAULT, **_OFF, doubted=frozenset({"late"}))
