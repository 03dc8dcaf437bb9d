"""The belief: the answer of the sensors that are live, and which of them lies.

Each live modality has an opinion p_m: its calibrated probabilities of the C classes, if the scene shows one
of them. A sensor lies with a probability e_m. Then its opinion is about another scene. A set of n sensors
believes in class c in proportion to

    q(c) prod_m [(1 - e_m) g_m(c) / q(c) + e_m],    g_m(c) in proportion to q(c) (p_m(c) / q(c)) ** (n ** -r).

The prior q holds the shares of the classes where these are likelier to be in all opinions than in none, and
is the same for all classes elsewhere. Each opinion has it, and it counts once.
The redundancy r is fitted: with 0, sensors err independently; with 1, they repeat each other, and the product
is the answer of the mean of the calibrated logits (Eq. 7). A sensor that contradicts the others lowers the
odds to e_m at most.

**Sensors of one device are one witness.** A webcam that is turned away shows another scene to its camera and
its microphone, so a device d lies as a whole, too, with a probability e_d. With the product D_d of its live
sensors and the mean of D_d by q, Z_d, the set believes in class c in proportion to

    q(c) prod_d [(1 - e_d) D_d(c) / Z_d + e_d],    D_d(c) = prod_{m in d} [(1 - e_m) g_m(c) / q(c) + e_m].

With one live sensor, or with no other device beside it, a device has no e_d but what was learned: the excess
over `RARE`.

**A sensor that agrees never makes an answer less sure.** Sensors that repeat each other could, so an answer
is as sure as that of any part of its sensors that the others agree with. Of more than six sensors, not every
part is asked, and the first may not hold.

**The scene may be none of the classes**, for all sensors at once, so what they say of it adds up, and the
answer is doubted by the sum (`head.doubted`). A live sensor speaks for a known scene as far as its log-odds
of familiarity exceed their limit by `MARGIN`, and for none that it finds likelier unknown (`head.KNOWN`),
however low the limit. One whose window is unfamiliar has no opinion beside a familiar one. If the linear
score is also below the limit, the window is far: the sensor is covered or broken. Those of one device break
together: a watch that falls off is one break. One break does not count. A second is as rare as an unknown
scene, so it is strange, like a sensor that sees what was never learned. Each strange one speaks against a
known scene by `STRANGE`.

Who lies is learned from scene to scene: a sensor that shows another scene goes on doing so, and the others go
on agreeing. By Bayes' rule, e_m and e_d grow with each scene that the others explain better without them.

An answer is sure from `Calibration.threshold` on. **The promise**: let a person (`Example.person`) be drawn
as those of the split calibrate were. Then, for each measured set of sensors, at most the share
`Calibration.risk` of this person's answers is expected to be sure and wrong (conformal risk control,
Angelopoulos et al., 2024, over people), if each of several sensors begins to lie in `RARE` of them, and so
does each of several devices. It is no
promise for one class, one person or one input, nor for other data: another room, another microphone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.classifier import Evidence
from sensemble_runtime.bundle.head import KNOWN, doubted
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]

RARE = 0.02  # the probability that a sensor or device lies before any evidence, or that a scene changes that
SCENE = 2.0  # seconds that a scene lasts at least; windows of one scene count once: they err together
LIKELY = 0.5  # the probability from which a sensor is a suspect
MARGIN = 1.5  # the excess of a score over its limit that speaks neither for a known scene nor against it
STRANGE = 4.0  # the log-odds by which a strange sensor speaks against one; about those of `RARE`
_LEAST = 0.01  # the share of an opinion spread over all classes: no calibration is more exact


def whole(device: str) -> str:
    """Return the name of a device among modalities; no modality has it."""
    return f"device {device}"


def carried(devices: Iterable[str | None]) -> dict[str, tuple[int, ...]]:
    """Return the rows of the sensors of each device, by the device of each sensor, if any."""
    found: dict[str, tuple[int, ...]] = {}
    for row, device in enumerate(devices):
        if device:
            found[device] = (*found.get(device, ()), row)
    return found


def believe(
    live: Sequence[Evidence],
    lies: Floats,
    redundancy: float,
    task: Task,
    strange: int = 0,
    devices: Mapping[str, Floats] = MappingProxyType({}),
) -> Floats:
    """Return the answer to N inputs by n > 0 live modalities, probabilities float [N, C].

    `lies`, `redundancy` and `task` are those of `fuse`; `strange` is the number of modalities that
    `are_strange`; `devices` has the probability [N] that each device lies as a whole, `RARE` for others.
    Without a strange one, a single live modality is doubted by its log-odds alone.
    """
    owners = carried(one.device for one in live)
    turned = {rows: devices.get(device, np.array(RARE)) for device, rows in owners.items()}
    classes = fuse(np.stack([one.classes for one in live]), lies, redundancy, task, live[0].prior, turned)
    scores = [(one.known, one.limit) for one in live if one.known is not None]
    if not scores:
        return classes
    if len(live) == 1 and not strange:
        ((known, _),) = scores
    else:
        excess = [own - max(limit + MARGIN, -KNOWN) for own, limit in scores]
        known = np.sum(excess, axis=0) - STRANGE * strange
    return doubted(classes, known, task)


def are_strange(unfamiliar: Truths, far: Truths, devices: Sequence[str | None]) -> Truths:
    """Return which of n sensors speak against a known scene at N moments, [n, N].

    `unfamiliar` and `far` are [n, N]; `devices` names the device of each sensor, if any. A far sensor counts
    if an earlier one of another device is far, and no earlier one of its device.
    """
    owners = [
        device or row for row, device in enumerate(devices)
    ]  # no name of a modality: a device may have it
    strange, broken = unfamiliar.copy(), {owner: np.zeros(far.shape[1], bool) for owner in owners}
    for row, owner in enumerate(owners):
        breaks = unfamiliar[row] & far[row]
        others = np.any(list(broken.values()), axis=0)
        strange[row] &= ~breaks | others & ~broken[owner]
        broken[owner] |= breaks
    return strange


def fuse(
    opinions: Floats,
    lies: Floats,
    redundancy: float,
    task: Task,
    prior: Floats | None = None,
    turned: Mapping[tuple[int, ...], Floats] = MappingProxyType({}),
) -> Floats:
    """Return the probabilities float [N, C] of N inputs by n > 0 modalities, if each shows one of C classes.

    Args:
        opinions: float [n, N, C], calibrated.
        lies: e_m, float [n, N], the probability that each lies.
        redundancy: r, in [0, 1].
        task: if multi-label, each class is a question by itself, true or not.
        prior: q, float [C], of a multi-class task; None: all classes are alike.
        turned: e_d, float [N], by the rows of the modalities of one device.
    """
    n = len(opinions)
    if task == "multi-label":
        return _odds(opinions, lies, n**-redundancy, turned)
    tops = opinions.argmax(axis=-1)
    best = np.zeros(opinions.shape[1:])
    if prior is None:
        prior = np.full(opinions.shape[-1], 1 / opinions.shape[-1])
    for size, group in groupby(reversed(subsets.places(n)), len):  # the whole set first, so that it wins ties
        parts = list(group)
        if size == 1:
            believed = np.stack([_alone(row, opinions, lies, turned) for (row,) in parts])
        else:
            logs = _logs(opinions, lies, size**-redundancy, prior)
            sums = np.stack([_joined(logs, part, turned, prior) for part in parts]) + np.log(prior)
            odds = np.exp(sums - sums.max(axis=-1, keepdims=True))
            believed = odds / odds.sum(axis=-1, keepdims=True)
        if n == 1:
            return np.asarray(believed[0])
        for part, own in zip(parts, believed, strict=True):
            rest = [row for row in range(n) if row not in part]
            agreed = (tops[rest] == own.argmax(axis=-1)).all(axis=0)
            surer = agreed & (own.max(axis=-1) > best.max(axis=-1))
            best = np.where(surer[:, np.newaxis], own, best)
    return best


def _logs(opinions: Floats, lies: Floats, power: float, prior: Floats | float) -> Floats:
    """Return the log-likelihoods [n, ..., C] of sensors that may lie."""
    trusted = (1 - lies)[(..., *[np.newaxis] * (opinions.ndim - lies.ndim))]
    return np.asarray(np.log(trusted * likelihoods(opinions, power, prior) + 1 - trusted))


def _joined(
    logs: Floats, part: tuple[int, ...], turned: Mapping[tuple[int, ...], Floats], prior: Floats | float
) -> Floats:
    """Return the log-likelihoods [..., C] of a part of the sensors, of which those of a device are one."""
    sums = logs[list(part)].sum(axis=0)
    for rows, lies in turned.items():
        some = [row for row in rows if row in part]
        chance = _chance(lies, len(some), len(part))
        if np.any(chance > 0):
            own = logs[some].sum(axis=0)
            mixed = _witness(own, chance[..., np.newaxis], prior)
            sums = np.where(chance[..., np.newaxis] > 0, sums - own + mixed, sums)
    return np.asarray(sums)


def _chance(lies: Floats, some: int, every: int) -> Floats:
    """Return the probability that a device lies, `some` of whose sensors are live, of `every` live ones."""
    if not some:
        return np.zeros(())
    return lies if 1 < some < every else np.maximum(lies - RARE, 0) / (1 - RARE)


def _witness(own: Floats, chance: Floats, prior: Floats | float) -> Floats:
    """Return the log-likelihoods [..., C] of a device that may lie as a whole, by those of its sensors."""
    largest = own.max(axis=-1, keepdims=True)  # keeps the exponentials from overflowing
    shares = np.exp(own - largest)
    return np.asarray(np.log((1 - chance) * shares / (prior * shares).sum(axis=-1, keepdims=True) + chance))


def _alone(row: int, opinions: Floats, lies: Floats, turned: Mapping[tuple[int, ...], Floats]) -> Floats:
    """Return an opinion [N, C], mixed with no evidence as far as it is suspected beyond `RARE`."""
    suspected = np.maximum(lies[row] - RARE, 0) / (1 - RARE)
    for rows, device in turned.items():
        if row in rows:
            suspected = suspected + _chance(device, 1, 1) * (1 - suspected)
    nothing = 1 / opinions.shape[-1]
    return np.asarray(opinions[row] + suspected[..., np.newaxis] * (nothing - opinions[row]))


def _odds(opinions: Floats, lies: Floats, power: float, turned: Mapping[tuple[int, ...], Floats]) -> Floats:
    """Return the probabilities [N, C] that each of C labels is true."""
    two = np.stack([opinions, 1 - opinions], axis=-1)
    each = {rows: np.asarray(chance)[..., np.newaxis] for rows, chance in turned.items()}
    logs = _joined(_logs(two, lies, power, 0.5), tuple(range(len(two))), each, 0.5)
    return np.asarray(1 / (1 + np.exp(logs[..., 1] - logs[..., 0])))


def likelihoods(opinions: Floats, power: float = 1.0, prior: Floats | float | None = None) -> Floats:
    """Return how much more probable windows are under each class than on average, from [..., C]."""
    before = 1 / opinions.shape[-1] if prior is None else prior
    ratios = (opinions / before) ** power
    return np.asarray((1 - _LEAST) * ratios / (before * ratios).sum(axis=-1, keepdims=True) + _LEAST)


class Belief:
    """The probability that each modality lies, learned from scene to scene. Times are given.

    Args:
        modalities: their names.
        devices: by modality, the device of its sensor, if any; one of two modalities or more may lie as a
            whole.
    """

    def __init__(
        self, modalities: Iterable[str], devices: Mapping[str, str | None] = MappingProxyType({})
    ) -> None:
        self._modalities = sorted(modalities)
        rows = carried(devices.get(m) for m in self._modalities)
        self._devices = {device: [*own] for device, own in rows.items() if len(own) > 1}
        self._lies = np.full(len(self._modalities), RARE)  # when the scene began
        self._turned = dict.fromkeys(self._devices, RARE)
        self._scene: Floats | None = None  # the likelihoods [n, C] of its moment in which most agreed
        self._agreement = -math.inf
        self._first = np.empty((len(self._modalities), 0))  # their logarithms when each was first live in it
        self._known = np.zeros(len(self._modalities), bool)  # which were live in it
        self._began = -math.inf

    @property
    def lies(self) -> dict[str, float]:
        """The probability that each modality lies, and each device (`whole`), from the scenes before."""
        each = dict(zip(self._modalities, self._lies.tolist(), strict=True))
        return each | {whole(device): chance for device, chance in self._turned.items()}

    def note(self, opinions: Mapping[str, Floats], now: float) -> Subset:
        """Note the opinions [C] of one moment; return the suspects: a sensor, or those of a device."""
        if not opinions:
            return ()
        found = self._posterior(self.learn(opinions, now))
        chances = zip(self._modalities, found.lying, strict=True)
        suspects = tuple(m for m, chance in chances if m in opinions and chance > LIKELY)
        if len(suspects) == 1:
            return suspects
        for device, chance in found.turned.items():
            own = {self._modalities[row] for row in self._devices[device]}
            if suspects and own >= {*suspects} and chance > LIKELY:
                return suspects
        return ()  # if two contradict each other, both are suspect

    def learn(self, opinions: Mapping[str, Floats], now: float) -> Floats:
        """Note the opinions [C], one or more, of a moment; return the likelihoods [n, C] of all."""
        live = np.array([m in opinions for m in self._modalities])
        likelihood = np.ones((len(live), len(next(iter(opinions.values())))))  # absent: no evidence
        likelihood[live] = likelihoods(np.stack([opinions[m] for m in self._modalities if m in opinions]))
        logs = np.log(likelihood)
        agreement = float(np.logaddexp.reduce(logs.sum(axis=0)))
        if now - self._began >= SCENE and self._is_over(logs, live):
            if self._scene is not None:
                found = self._posterior(self._scene)
                self._lies = (1 - RARE) * found.lies + RARE * RARE
                self._turned = {d: (1 - RARE) * p + RARE * RARE for d, p in found.turned.items()}
            self._scene, self._agreement, self._began = likelihood, agreement, now
            self._first, self._known = logs, live
        else:
            if agreement > self._agreement:  # sensors that lag behind disagree for a while
                self._scene, self._agreement = likelihood, agreement
            self._first = np.where((live & ~self._known)[:, np.newaxis], logs, self._first)
            self._known = live | self._known
        return likelihood

    def _is_over(self, logs: Floats, live: NDArray[np.bool_]) -> bool:
        """Return whether the live modalities now favour another class, all, without one or without a device.

        A sensor that only comes or goes begins no scene.
        """
        both = live & self._known
        if not both.any():
            return True
        parts = [*([row] for row in np.flatnonzero(both).tolist()), *self._devices.values()]
        after, before = (np.where(both[:, np.newaxis], each, 0) for each in (logs, self._first))
        return _tops(after, parts) != _tops(before, parts)

    def forget(self, modality: str) -> None:
        """Forget a modality whose sensor left, and a device without another."""
        row = self._modalities.index(modality)
        self._lies[row], self._known[row] = RARE, False
        self._turned |= {d: RARE for d, rows in self._devices.items() if not self._known[rows].any()}
        if self._scene is not None:
            self._scene[row] = 1.0

    def _posterior(self, likelihood: Floats) -> "_Found":
        """Return who lies by the likelihoods [n, C] of a moment and the probabilities before it."""
        lies, live = self._lies, (likelihood != 1).any(axis=1)
        logs = np.log((1 - lies)[:, np.newaxis] * likelihood + lies[:, np.newaxis])
        chances = {
            device: float(_chance(np.array(self._turned[device]), int(live[rows].sum()), int(live.sum())))
            for device, rows in self._devices.items()
        }
        joint = {}
        sums = logs.sum(axis=0)
        for device, chance in chances.items():
            if chance > 0:
                own = logs[self._devices[device]].sum(axis=0)
                joint[device] = own, _witness(own, np.array(chance), 1 / likelihood.shape[1])
                sums += joint[device][1] - own
        largest = sums.max()  # keeps the exponentials from overflowing
        total = np.exp(sums - largest).mean()
        found = lies * np.exp(sums - logs - largest).mean(axis=1) / total
        lying, turned = found.copy(), dict(self._turned)
        for device, (own, mixed) in joint.items():
            rows, chance = self._devices[device], chances[device]
            others = np.exp(sums - mixed - largest)
            is_turned = float(chance * others.mean() / total)
            alone = np.exp(own - logs[rows] - own.max()) / np.exp(own - own.max()).mean()
            honest = lies[rows] * (1 - chance) * (alone * others).mean(axis=1) / total
            lying[rows] = is_turned + honest
            found[rows] = honest + lies[rows] * alone.mean(axis=1) * is_turned
            whole_device = 1 < live[rows].sum() < live.sum()
            turned[device] = is_turned if whole_device else RARE + (1 - RARE) * is_turned
        return _Found(found, lying, turned)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Chances to lie: of n modalities by themselves, [n], also with their devices, [n], and of devices."""

    lies: Floats
    lying: Floats
    turned: dict[str, float]


def _tops(logs: Floats, parts: Sequence[Sequence[int]]) -> list[int]:
    """Return the likeliest class by all of n log-likelihoods [n, C], and by all but each of some parts."""
    every = logs.sum(axis=0)
    rests = (every - logs[list(part)].sum(axis=0) for part in parts)
    return [int(some.argmax()) for some in (every, *rests)]
