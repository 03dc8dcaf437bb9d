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
on agreeing. By Bayes' rule, e_m grows with each scene that the others explain better without m.

An answer is sure from `Calibration.threshold` on. **The promise**: let a person (`Example.person`) be drawn
as those of the split calibrate were. Then, for each measured set of sensors, at most the share
`Calibration.risk` of this person's answers is expected to be sure and wrong (conformal risk control,
Angelopoulos et al., 2024, over people), if each of several sensors begins to lie in `RARE` of them. It is no
promise for one class, one person or one input, nor for other data: another room, another microphone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.bundle.classifier import Evidence
from sensemble_runtime.bundle.head import KNOWN, doubted
from sensemble_runtime.bundle.manifest import Task

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]

RARE = 0.02  # the probability that a sensor lies before any evidence, or that a scene changes whether it does
SCENE = 2.0  # seconds that a scene lasts at least; windows of one scene count once: they err together
LIKELY = 0.5  # the probability from which a sensor is a suspect
MARGIN = 1.5  # the excess of a score over its limit that speaks neither for a known scene nor against it
STRANGE = 4.0  # the log-odds by which a strange sensor speaks against one; about those of `RARE`
_LEAST = 0.01  # the share of an opinion spread over all classes: no calibration is more exact


def believe(
    live: Sequence[Evidence], lies: Floats, redundancy: float, task: Task, strange: int = 0
) -> tuple[Floats, Floats]:
    """Return the answer to N inputs by n > 0 live modalities, and the same if each shows one of the classes.

    Both are probabilities float [N, C].

    `lies`, `redundancy` and `task` are those of `fuse`; `strange` is the number of modalities that
    `are_strange`. Without any, a single live modality is doubted by its log-odds alone.
    """
    classes = fuse(np.stack([one.classes for one in live]), lies, redundancy, task, live[0].prior)
    scores = [(one.known, one.limit) for one in live if one.known is not None]
    if not scores:
        return classes, classes
    if len(live) == 1 and not strange:
        ((known, _),) = scores
    else:
        excess = [own - max(limit + MARGIN, -KNOWN) for own, limit in scores]
        known = np.sum(excess, axis=0) - STRANGE * strange
    return doubted(classes, known, task), classes


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
    opinions: Floats, lies: Floats, redundancy: float, task: Task, prior: Floats | None = None
) -> Floats:
    """Return the probabilities float [N, C] of N inputs by n > 0 modalities, if each shows one of C classes.

    Args:
        opinions: float [n, N, C], calibrated.
        lies: e_m, float [n, N], the probability that each lies.
        redundancy: r, in [0, 1].
        task: if multi-label, each class is a question by itself, true or not.
        prior: q, float [C], of a multi-class task; None: all classes are alike.
    """
    n = len(opinions)
    if task == "multi-label":
        return _odds(opinions, lies, n**-redundancy)
    if n == 1:
        return np.asarray(_alone(opinions, lies)[0])
    tops = opinions.argmax(axis=-1)
    best = np.zeros(opinions.shape[1:])
    if prior is None:
        prior = np.full(opinions.shape[-1], 1 / opinions.shape[-1])
    for _, group in groupby(reversed(subsets.places(n)), len):  # the whole set first, so that it wins ties
        parts = list(group)
        for part, own in zip(parts, _believed(opinions, lies, parts, redundancy, prior), strict=True):
            rest = [row for row in range(n) if row not in part]
            agreed = (tops[rest] == own.argmax(axis=-1)).all(axis=0)
            surer = agreed & (own.max(axis=-1) > best.max(axis=-1))
            best = np.where(surer[:, np.newaxis], own, best)
    return best


def _believed(
    opinions: Floats, lies: Floats, parts: Sequence[tuple[int, ...]], redundancy: float, prior: Floats
) -> Floats:
    """Return the probabilities by sets of the same size, float [K, N, C]."""
    size = len(parts[0])
    if size == 1:
        return _alone(opinions, lies)[[row for (row,) in parts]]
    trusted = (1 - lies)[..., np.newaxis]
    logs = np.log(trusted * likelihoods(opinions, size**-redundancy, prior) + 1 - trusted)
    sums = np.stack([logs[list(part)].sum(axis=0) for part in parts]) + np.log(prior)
    odds = np.exp(sums - sums.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def _alone(opinions: Floats, lies: Floats) -> Floats:
    """Return the opinions, each mixed with no evidence as far as it is suspected beyond `RARE`."""
    suspected = (np.maximum(lies - RARE, 0) / (1 - RARE))[..., np.newaxis]
    return np.asarray(opinions + suspected * (1 / opinions.shape[-1] - opinions))


def _odds(opinions: Floats, lies: Floats, power: float) -> Floats:
    """Return the probabilities [N, C] that each of C labels is true."""
    two = np.stack([opinions, 1 - opinions], axis=-1)
    trusted = (1 - lies)[..., np.newaxis, np.newaxis]
    logs = np.log(trusted * likelihoods(two, power) + 1 - trusted).sum(axis=0)
    return np.asarray(1 / (1 + np.exp(logs[..., 1] - logs[..., 0])))


def likelihoods(opinions: Floats, power: float = 1.0, prior: Floats | float | None = None) -> Floats:
    """Return how much more probable windows are under each class than on average, from [..., C]."""
    before = 1 / opinions.shape[-1] if prior is None else prior
    ratios = (opinions / before) ** power
    return np.asarray((1 - _LEAST) * ratios / (before * ratios).sum(axis=-1, keepdims=True) + _LEAST)


class Belief:
    """The probability that each modality lies, learned from scene to scene. Times are given."""

    def __init__(self, modalities: Iterable[str]) -> None:
        self._modalities = sorted(modalities)
        self._lies = np.full(len(self._modalities), RARE)  # when the scene began
        self._scene: Floats | None = None  # the likelihoods [n, C] of its moment in which most agreed
        self._agreement = -math.inf
        self._first = np.empty((len(self._modalities), 0))  # their logarithms when each was first live in it
        self._known = np.zeros(len(self._modalities), bool)  # which were live in it
        self._began = -math.inf

    @property
    def lies(self) -> dict[str, float]:
        """The probability that each modality lies, from the scenes before this one."""
        return dict(zip(self._modalities, self._lies.tolist(), strict=True))

    def note(self, opinions: Mapping[str, Floats], now: float) -> str | None:
        """Note the opinions [C] of one moment; return the suspect, if one sensor alone is likely to lie."""
        if not opinions:
            return None
        said = self.learn(opinions, now)
        chances = _posterior(said, self._lies)
        suspects = [m for m in opinions if chances[self._modalities.index(m)] > LIKELY]
        return suspects[0] if len(suspects) == 1 else None  # if two contradict each other, both are suspect

    def learn(self, opinions: Mapping[str, Floats], now: float) -> Floats:
        """Note the opinions [C], one or more, of a moment; return the likelihoods [n, C] of all."""
        live = np.array([m in opinions for m in self._modalities])
        said = np.ones((len(live), len(next(iter(opinions.values())))))  # absent: no evidence
        said[live] = likelihoods(np.stack([opinions[m] for m in self._modalities if m in opinions]))
        logs = np.log(said)
        agreement = float(np.logaddexp.reduce(logs.sum(axis=0)))
        if now - self._began >= SCENE and self._is_over(logs, live):
            if self._scene is not None:
                self._lies = (1 - RARE) * _posterior(self._scene, self._lies) + RARE * RARE
            self._scene, self._agreement, self._began = said, agreement, now
            self._first, self._known = logs, live
        else:
            if agreement > self._agreement:  # sensors that lag behind disagree for a while
                self._scene, self._agreement = said, agreement
            self._first = np.where((live & ~self._known)[:, np.newaxis], logs, self._first)
            self._known = live | self._known
        return said

    def _is_over(self, logs: Floats, live: NDArray[np.bool_]) -> bool:
        """Return whether the live modalities now favour another class, together or without one of them.

        A sensor that only comes or goes begins no scene.
        """
        both = live & self._known
        return not both.any() or _tops(logs[both]) != _tops(self._first[both])

    def forget(self, modality: str) -> None:
        """Forget a modality whose sensor left."""
        row = self._modalities.index(modality)
        self._lies[row], self._known[row] = RARE, False
        if self._scene is not None:
            self._scene[row] = 1.0


def _tops(logs: Floats) -> list[int]:
    """Return the likeliest class by all of n modalities, and by all but each, of log-likelihoods [n, C]."""
    whole = logs.sum(axis=0)
    return [int(whole.argmax()), *(whole - logs).argmax(axis=1).tolist()]


def _posterior(said: Floats, lies: Floats) -> Floats:
    """Return the probability [n] that each modality lies, by its likelihoods [n, C] and those before."""
    logs = np.log((1 - lies)[:, np.newaxis] * said + lies[:, np.newaxis])
    whole = logs.sum(axis=0)
    largest = whole.max()  # keeps the exponentials from overflowing
    rests = np.exp(whole - logs - largest).mean(axis=1)
    return np.asarray(lies * rests / np.exp(whole - largest).mean())
