"""The headline of a run: the scores of its bundle, the losses of sensors, and cautions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sensemble_runtime import subsets
from sensemble_runtime.auditing.gate import Judgement
from sensemble_runtime.auditing.robustness import Matrix
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.subsets import ConditionScore, Estimate, Subset, SubsetScore

from sensemble_apps.console import estimates, wording
from sensemble_apps.console.kinds import words_of
from sensemble_apps.runs.audits import Audits

Score = TypeVar("Score")


@dataclass(frozen=True)
class Evidence:
    """The contents of the report; a field is empty where the run lacks it.

    Attributes:
        title: the dataset's name.
        metric: `accuracy` or `mAP`.
        matrices: method -> matrix, in fractions.
        manifest: the shipped bundle's.
        audits: the bundle's audits, on that dataset and on other data.
        facts: provenance, in the order to show.
        conditions: the scores of that audit while a sensor is degraded; empty where it had none.
        identity: what tells this bundle and these data from others, in the order to show.
        session: what a replay in real time took (`RunSummary.to_json`); None where none was timed.
        verdicts: of each criterion that was required, the judgement and a line with its numbers.
    """

    title: str
    metric: str
    matrices: Mapping[str, Matrix]
    manifest: Manifest
    audits: Audits
    facts: Sequence[tuple[str, str]]
    conditions: Sequence[ConditionScore] = ()
    identity: Sequence[tuple[str, str]] = ()
    session: Mapping[str, Any] | None = None
    verdicts: Sequence[tuple[Judgement, str]] = ()


@dataclass(frozen=True)
class Loss:
    """The effect of one lost sensor: the score of all sensors, and of all but this one.

    Attributes:
        event: the loss, as a clause: `the camera dies`.
        before: the score of all sensors.
        after: the score without this one.
        drop: the difference with its interval, of the same examples; None where no audit measured it.
    """

    event: str
    before: float
    after: float
    drop: Estimate | None = None

    def sentence(self, metric: str) -> str:
        """Write the effect as a clause: `accuracy falls from 90 % to 80 %, by 7 to 13 points`."""
        if self.drop is not None:
            return estimates.change(metric, self.before, self.drop)
        before, after = (wording.percent(score, 0) for score in (self.before, self.after))
        if before == after:
            return f"{metric} stays at {after} %"
        return f"{metric} {'falls' if self.after < self.before else 'rises'} from {before} % to {after} %"


@dataclass(frozen=True)
class Headline:
    """The shipped model: its scores, and the effect of losing each sensor.

    Attributes:
        method: the method's title.
        trained_on: its M_T.
        floats: the float model's scores.
        quantized: the bundle's scores.
        scheme: the quantization scheme of the scored encoders, if all have one, else `quantized`.
        encoders: the same in words, with the executor where it is known.
        losses: the effect of losing each sensor, the worst first.
        audited: the bundle's scores with their intervals; empty where it was not audited.
        cautions: sentences on the limits of these numbers.
    """

    method: str
    trained_on: Subset
    floats: Mapping[Subset, float]
    quantized: Mapping[Subset, float]
    scheme: str
    encoders: str
    losses: tuple[Loss, ...]
    audited: Mapping[Subset, SubsetScore]
    cautions: tuple[str, ...]

    @property
    def scores(self) -> Mapping[Subset, float]:
        """The bundle's scores or, if export measured none, the float model's."""
        return self.quantized or self.floats


def headline(evidence: Evidence) -> Headline:
    """Return the scores of the shipped model, and its losses and finetuning's."""
    made = evidence.manifest.provenance
    method, trained_on = made.method, subsets.name(made.train_modalities)
    floats, quantized = made.accuracy, next(iter(made.accuracy_quantized.values()), {})
    audited = evidence.audits.scores
    if audited:
        # The audit and the matrix cover the whole evaluation set, export only a part of it.
        quantized = {name: score.accuracy for name, score in audited.items()}
        floats = dict(evidence.matrices.get(method, {}).get(trained_on, floats))
    scheme, encoders = _quantization(evidence.manifest, audited=bool(audited))
    return Headline(
        method=wording.method_title(method),
        trained_on=subsets.parse(trained_on),
        floats=_by_set(floats),
        quantized=_by_set(quantized),
        scheme=scheme,
        encoders=encoders,
        losses=_losses(quantized or floats, evidence.audits.estimates if audited else {}),
        audited=_by_set(audited),
        cautions=tuple(_cautions(evidence.audits)),
    )


def _quantization(manifest: Manifest, *, audited: bool) -> tuple[str, str]:
    """Return the scheme of the scored encoders, or `quantized`, and the same in words.

    Export scores its first target; an audit does not record which of several targets it ran.
    """
    targets = list(dict.fromkeys(t for entry in manifest.modalities.values() for t in entry.artifacts))
    if audited and len(targets) > 1:
        return "quantized", "the bundle\N{RIGHT SINGLE QUOTATION MARK}s encoders"
    target = next(iter(manifest.provenance.accuracy_quantized), targets[0])
    schemes = {m: e.artifacts[target].scheme for m, e in manifest.modalities.items() if target in e.artifacts}
    one = set(schemes.values())
    said = one.pop() if len(one) == 1 else ", ".join(f"{m} {scheme}" for m, scheme in schemes.items())
    scheme = "quantized" if " " in said else said
    return scheme, f"the bundle\N{RIGHT SINGLE QUOTATION MARK}s encoders for {target} ({said})"


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


def _losses(scores: Mapping[str, float], measured: Mapping[str, Estimate]) -> tuple[Loss, ...]:
    by_set = _by_set(scores)
    every = max(by_set, key=len, default=())
    losses = []
    for lost in every:
        rest = tuple(m for m in every if m != lost)
        drop = measured.get(f"drop.{lost}")
        if drop is not None:  # on the examples that have all sensors; those that have the rest may be more
            losses.append(Loss(words_of(lost).loss, by_set[every], by_set[every] - drop.value, drop))
        elif rest in by_set:
            losses.append(Loss(words_of(lost).loss, by_set[every], by_set[rest]))
    return tuple(sorted(losses, key=lambda loss: loss.after - loss.before))
