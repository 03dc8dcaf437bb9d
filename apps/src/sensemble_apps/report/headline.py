"""The headline of a run: the scores of its bundle, the losses of sensors, and cautions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sensemble_runtime import subsets
from sensemble_runtime.subsets import Estimate, Subset, SubsetScore

from sensemble_apps.console import estimates, wording
from sensemble_apps.console.kinds import words_of
from sensemble_apps.report.evidence import Evidence
from sensemble_apps.runs.audits import Audits

Score = TypeVar("Score")


@dataclass(frozen=True)
class Loss:
    """The effect of one lost sensor.

    Attributes:
        event: the loss, as a clause: `the camera dies`.
        before: the score of all sensors.
        drop: the difference to the score without this one, on the same examples.
    """

    event: str
    before: float
    drop: Estimate

    @property
    def after(self) -> float:
        """The score without this sensor."""
        return self.before - self.drop.value

    def sentence(self, metric: str) -> str:
        """Write the effect as a clause: `accuracy falls from 90 % to 80 %, by 7 to 13 points`."""
        return estimates.change(metric, self.before, self.drop)


@dataclass(frozen=True)
class Headline:
    """The shipped model's scores, and the effect of losing each sensor.

    Attributes:
        method: the method's title.
        trained_on: its M_T.
        floats: the float model's scores, as far as they are known.
        audited: the bundle's scores.
        losses: the worst first.
        cautions: sentences on the limits of these numbers.
    """

    method: str
    trained_on: Subset
    floats: Mapping[Subset, float]
    audited: Mapping[Subset, SubsetScore]
    losses: tuple[Loss, ...]
    cautions: tuple[str, ...]


def headline(evidence: Evidence) -> Headline:
    """Return the scores and the losses of the shipped model."""
    provenance, audits = evidence.manifest.provenance, evidence.audits
    trained_on = subsets.name(provenance.train_modalities)
    audited = _by_set(audits.scores)
    every, score = list(audited.items())[-1]
    drops = {m: drop for m in every if (drop := audits.estimates.get(f"drop.{m}")) is not None}
    losses = (Loss(words_of(m).loss, score.accuracy, drop) for m, drop in drops.items())
    return Headline(
        method=wording.method_title(provenance.method),
        trained_on=subsets.parse(trained_on),
        floats=_by_set(evidence.matrices.get(provenance.method, {}).get(trained_on, provenance.accuracy)),
        audited=audited,
        losses=tuple(sorted(losses, key=lambda loss: -loss.drop.value)),
        cautions=tuple(_cautions(audits)),
    )


def _cautions(audits: Audits) -> Iterator[str]:
    for name, score in audits.scores.items():
        if "+" not in name and score.low <= audits.chance[name]:
            yield estimates.at_chance(name, score, audits.chance[name])
    few = {name: score.n for name, score in audits.scores.items() if score.too_few}
    if few:
        sets = "every set" if len(few) == len(audits.scores) else wording.words(list(few))
        counts = sorted(set(few.values()))
        n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        yield (
            f"{estimates.TOO_FEW.capitalize()} of {sets} ({n}): an interval wider than 20 points does not "
            "tell a good sensor from a bad one. Label more before this is signed off."
        )


def _by_set(scores: Mapping[str, Score]) -> dict[Subset, Score]:
    parsed = {subsets.parse(name): score for name, score in scores.items()}
    return {subset: parsed[subset] for subset in sorted(parsed, key=lambda subset: (len(subset), subset))}
