"""The audits of a run's bundle in its record: those on the run's own data, and on other data."""

from dataclasses import dataclass
from pathlib import Path

from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.record.reader import read_conditions, read_runs
from sensemble_runtime.record.writer import fingerprint
from sensemble_runtime.subsets import ConditionScore, Estimate, SubsetScore

from sensemble_apps.console.wording import data_title
from sensemble_apps.runs.run_folder import AUDIT, BUNDLE, EVALUATED


@dataclass(frozen=True)
class Audits:
    """The audits of a run's bundle.

    Attributes:
        scores: by subset, of the last complete audit on the run's evaluation data.
        chance: of that audit, the score of always giving the commonest label, by subset.
        estimates: of that audit: `P`, `R`, and the drop without each modality, `drop.audio`.
        others: other data that the bundle was audited on, in words; its scores do not compare.
        conditions: the scores while a sensor is degraded, of the last such audit on the run's data.
    """

    scores: dict[str, SubsetScore]
    chance: dict[str, float]
    estimates: dict[str, Estimate]
    others: tuple[str, ...]
    conditions: tuple[ConditionScore, ...] = ()


def audits(run: Path) -> Audits:
    """Return the audits of the run's bundle; without a record or a bundle, there are none.

    Raises:
        BundleError, RecordError: the bundle's manifest or the record cannot be used.
    """
    manifest = run / BUNDLE / FILE_NAME
    if not (run / AUDIT).exists() or not manifest.exists():
        return Audits({}, {}, {}, ())
    bundle = fingerprint(run / BUNDLE)
    evaluated = (read_manifest(manifest).provenance.dataset, EVALUATED)
    found = [r for r in read_runs(run / AUDIT) if r.kind == "audit" and r.bundle == bundle and r.ended]
    own = [r for r in found if (r.dataset, r.split) == evaluated]
    degraded = [scores for r in own if (scores := read_conditions(run / AUDIT, r.id))]
    others = [data_title(r.dataset, r.split) for r in found if (r.dataset, r.split) != evaluated]
    return Audits(
        own[-1].scores if own else {},
        own[-1].chance if own else {},
        own[-1].estimates if own else {},
        tuple(dict.fromkeys(others)),
        tuple(degraded[-1]) if degraded else (),
    )
