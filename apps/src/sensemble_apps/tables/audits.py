"""Read the audits of a run's bundle from its record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensemble_runtime import subsets
from sensemble_runtime.auditing.measures import Measures
from sensemble_runtime.auditing.reliability import Answered, Outcomes, recorded_answers
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.record.reader import read_answers, read_conditions, read_runs, read_unknown
from sensemble_runtime.record.writer import fingerprint
from sensemble_runtime.scores import ConditionScore, Estimate, SubsetScore, UnknownScore

from sensemble_apps.console.wording import data_title, people
from sensemble_apps.tables.run_folder import AUDIT, BUNDLE, EVALUATED


@dataclass(frozen=True)
class Audits:
    """The audits of a run's bundle.

    Attributes:
        scores: by subset, of the last complete audit on the run's evaluation data.
        chance: of that audit, the score of always giving the commonest label, by subset.
        estimates: of that audit: `Measures.estimates`.
        others: other data that the bundle was audited on, in words; its scores do not compare.
        conditions: the scores while a sensor is degraded, of the last such audit on the run's data.
        unknown: the answers to known windows and to those of no class, of the last such audit on that data.
        answered: the answers of the last audit with the truth.
        ended: its end, in seconds since 1970.
    """

    scores: dict[str, SubsetScore]
    chance: dict[str, float]
    estimates: dict[str, Estimate]
    others: tuple[str, ...]
    conditions: tuple[ConditionScore, ...] = ()
    unknown: tuple[UnknownScore, ...] = ()
    answered: Answered | None = None
    ended: float = 0.0

    @property
    def outcomes(self) -> Mapping[str, Outcomes]:
        """The outcomes of the answers, by subset."""
        return self.answered.sets if self.answered else {}

    @property
    def groups(self) -> int:
        """The number of people or groups of the examples; 0 where it is not known."""
        if self.answered is None or not any(self.answered.named):
            return 0
        return int(self.answered.groups.max()) + 1

    @property
    def amount(self) -> str:
        """The examples and the people behind the scores, in words."""
        who = f"of {people(self.groups)}" if self.groups else "whose people are not named"
        return f"{max(score.n for score in self.scores.values())} examples of the split {EVALUATED}, {who}"

    @property
    def measures(self) -> Measures:
        """The same numbers as the audit had them."""
        return recorded_measures(self.scores, self.chance, self.estimates)


def recorded_measures(
    scores: dict[str, SubsetScore], chance: dict[str, float], estimates: Mapping[str, Estimate]
) -> Measures:
    """Return the measures of a recorded audit."""
    modalities = sorted({m for name in scores for m in subsets.parse(name)})
    drops = {n.removeprefix("drop."): one for n, one in estimates.items() if n.startswith("drop.")}
    gains: dict[str, dict[str, Estimate]] = {}
    for key, estimate in estimates.items():
        if key.startswith("gain."):
            modality, _, name = key.removeprefix("gain.").partition(" to ")
            gains.setdefault(modality, {})[name] = estimate
    every = map(subsets.name, subsets.measured(modalities))
    unscored = tuple(name for name in every if name not in scores)
    return Measures(scores, estimates["P"], estimates["R"], drops, gains, chance, unscored)


def audits(run: Path) -> Audits:
    """Return the audits of a run's bundle: empty without a record or a bundle."""
    manifest = run / BUNDLE / FILE_NAME
    if not (run / AUDIT).exists() or not manifest.exists():
        return Audits({}, {}, {}, ())
    provenance = read_manifest(manifest).provenance
    bundles = {fingerprint(run / BUNDLE), *(provenance.extends or ())}
    evaluated = (provenance.dataset, EVALUATED)
    audited = [r for r in read_runs(run / AUDIT) if r.kind == "audit" and r.bundle in bundles and r.ended]
    own = [r for r in audited if (r.dataset, r.split) == evaluated]
    others = [data_title(r.dataset, r.split) for r in audited if (r.dataset, r.split) != evaluated]
    named = tuple(dict.fromkeys(others))
    if not own:
        return Audits({}, {}, {}, named)
    last = own[-1]
    degraded = [scores for r in own if (scores := read_conditions(run / AUDIT, r.id))]
    strange = [found for r in own if (found := read_unknown(run / AUDIT, r.id))]
    answers = read_answers(run / AUDIT, last.id)
    return Audits(
        last.scores,
        last.chance,
        last.estimates,
        named,
        tuple(degraded[-1]) if degraded else (),
        tuple(strange[-1]) if strange else (),
        recorded_answers(answers, last.labels, last.task),
        last.ended or 0.0,
    )
