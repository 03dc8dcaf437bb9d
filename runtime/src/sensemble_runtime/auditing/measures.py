"""The scores of all subsets, P, R, the change by each sensor and chance, each with its interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sensemble_runtime import subsets
from sensemble_runtime.auditing.intervals import combined, difference, scored
from sensemble_runtime.auditing.metrics import chance
from sensemble_runtime.bundle.manifest import Task
from sensemble_runtime.scores import Estimate, SubsetScore


@dataclass(frozen=True, slots=True)
class Measures:
    """The scores of labelled examples."""

    subsets: dict[str, SubsetScore]  # by name, smallest first; over the examples with all its modalities
    mean: Estimate  # P, over the scored subsets (Eq. 3)
    least: Estimate  # R, of the worst subset (Eq. 4); its ends are the lowest of all subsets' ends
    drops: dict[str, Estimate]  # the score lost without each modality, then without each device, paired
    gains: dict[str, dict[str, Estimate]]  # by modality and subset: the score gained by adding it to that
    chance: dict[str, float]  # by subset, the score of always giving the commonest label
    unscored: tuple[str, ...]  # the subsets for which no example has all modalities

    @property
    def p(self) -> float:
        """P (Eq. 3)."""
        return self.mean.value

    @property
    def r(self) -> float:
        """R (Eq. 4)."""
        return self.least.value

    @property
    def every(self) -> str:
        """The name of the set of all sensors, which may be unscored."""
        return max((*self.subsets, *self.unscored), key=lambda name: name.count("+"))

    @property
    def worst(self) -> str:
        """The name of the subset with the lowest score."""
        return min(self.subsets, key=lambda name: self.subsets[name].accuracy)

    @property
    def at_chance(self) -> tuple[str, ...]:
        """The names of the subsets that may be no better than `chance`: it is in their interval, or above."""
        return tuple(name for name, score in self.subsets.items() if score.low <= self.chance[name])

    @property
    def estimates(self) -> dict[str, Estimate]:
        """The measures besides the scores of subsets: `P`, `R`, `drop.audio`, `gain.audio to text+video`."""
        drops = {f"drop.{m}": drop for m, drop in self.drops.items()}
        gains = {
            f"gain.{m} to {name}": one for m, by_set in self.gains.items() for name, one in by_set.items()
        }
        return {"P": self.mean, "R": self.least} | drops | gains


def measure(
    predictions: NDArray[np.floating],
    present: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[np.integer] | NDArray[np.bool_],
    task: Task,
    groups: NDArray[np.integer],
    more: Sequence[subsets.Subset] = (),
    devices: Mapping[str, subsets.Subset] = MappingProxyType({}),
) -> Measures | None:
    """Return all measures of labelled examples; None where no example has any of the modalities.

    `predictions` are floating [S, N, C], in the order of `pooling.pool_subsets`, then those of `more`;
    `present` says by modality, bool [N], which examples have it; `groups` are those of
    `intervals.group_codes`. `devices` are those of `spec.devices`; what is left without one is among the
    subsets.
    """
    by_set = dict(zip([*subsets.measured(present), *more], predictions, strict=True))
    has = {subset: np.all([present[m] for m in subset], axis=0) for subset in by_set}
    results = {
        subset: scored(predicted, labels, task, groups, has[subset])
        for subset, predicted in by_set.items()
        if has[subset].any()
    }
    if not results:
        return None
    scores = [one for one, _ in results.values()]

    def gain(whole: subsets.Subset, rest: subsets.Subset) -> Estimate:
        both = has[whole]
        if task == "multi-class":
            first, second = (by_set[each][both].argmax(axis=1) == labels[both] for each in (whole, rest))
            return difference(first, second, groups[both])
        less = results[rest]
        if has[rest].sum() > both.sum():  # others have the rest alone
            less = scored(by_set[rest], labels, task, groups, both)
        return combined((results[whole][0], less[0]), (1.0, -1.0), (results[whole][1], less[1]))

    every = max(by_set, key=len)
    drops, gains = dict[str, Estimate](), dict[str, dict[str, Estimate]]()
    for whole in results:
        for modality in whole if len(whole) > 1 else ():
            rest = tuple(m for m in whole if m != modality)
            if rest in results:  # of many modalities, some sets are not measured
                found = gain(whole, rest)
                gains.setdefault(modality, {})[subsets.name(rest)] = found
                if whole == every:
                    drops[modality] = found
    for device, carried in devices.items() if every in results else ():
        drops[device] = gain(every, tuple(m for m in every if m not in carried))
    return Measures(
        subsets={subsets.name(subset): one for subset, (one, _) in results.items()},
        mean=combined(scores, [1 / len(scores)] * len(scores), [varied for _, varied in results.values()]),
        least=Estimate(*(min(getattr(s, end) for s in scores) for end in ("accuracy", "low", "high"))),
        drops=drops,
        gains=gains,
        chance={subsets.name(subset): chance(labels[has[subset]], task) for subset in results},
        unscored=tuple(subsets.name(subset) for subset in by_set if subset not in results),
    )
