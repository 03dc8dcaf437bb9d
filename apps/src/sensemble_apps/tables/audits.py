"""Find the audits of a run's bundle in its record."""

from dataclasses import dataclass, replace
from pathlib import Path

from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.recorded import recorded_audit
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.record.reader import read_conditions, read_runs, read_unknown
from sensemble_runtime.record.writer import fingerprint
from sensemble_runtime.scores import SubsetScore

from sensemble_apps.console.wording import data_title
from sensemble_apps.tables.run_folder import AUDIT, BUNDLE, EVALUATED


@dataclass(frozen=True)
class Audits:
    """The audits of a run's bundle.

    Attributes:
        result: the last complete one on the run's evaluation data, with the scores under conditions and
            against the unknown of the last that has any; None without one.
        others: other data that the bundle was audited on, in words; its scores do not compare.
        ended: the end of the last, in seconds since 1970.
    """

    result: AuditResult | None = None
    others: tuple[str, ...] = ()
    ended: float = 0.0

    @property
    def scores(self) -> dict[str, SubsetScore]:
        """The scores by subset; empty without an audit."""
        return self.result.subsets if self.result else {}


def audits(run: Path) -> Audits:
    """Return the audits of a run's bundle: empty without a record or a bundle."""
    manifest, record = run / BUNDLE / FILE_NAME, run / AUDIT
    if not record.exists() or not manifest.exists():
        return Audits()
    provenance = read_manifest(manifest).provenance
    bundles = {fingerprint(run / BUNDLE), *(provenance.extends or ())}
    evaluated = (provenance.dataset, EVALUATED)
    audited = [r for r in read_runs(record) if r.kind == "audit" and r.bundle in bundles and r.ended]
    own = [r for r in audited if (r.dataset, r.split) == evaluated]
    others = [data_title(r.dataset, r.split) for r in audited if (r.dataset, r.split) != evaluated]
    named = tuple(dict.fromkeys(others))
    if not own:
        return Audits(others=named)
    degraded = [scores for r in own if (scores := read_conditions(record, r.id))]
    strange = [found for r in own if (found := read_unknown(record, r.id))]
    result = replace(
        recorded_audit(record, own[-1]),
        conditions=tuple(degraded[-1]) if degraded else (),
        unknown=tuple(strange[-1]) if strange else (),
    )
    return Audits(result, named, own[-1].ended or 0.0)
