"""Find the audits of a run's bundle in its record."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.recorded import recorded_audit
from sensemble_runtime.bundle.manifest import FILE_NAME, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.record.reader import (
    read_conditions,
    read_data,
    read_runs,
    read_sparing,
    read_stream_scores,
    read_unknown,
)
from sensemble_runtime.record.writer import fingerprint
from sensemble_runtime.scores import StreamScore, SubsetScore
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.media.content import contents, data_digest
from sensemble_sensors.media.dataset import read_dataset

from sensemble_apps.console.wording import data_title
from sensemble_apps.tables.run_folder import AUDIT, BUNDLE, EVALUATED, data_of


@dataclass(frozen=True)
class Audits:
    """The audits of a run's bundle.

    Attributes:
        result: the last complete one on the run's evaluation data, with the scores under conditions, against
            the unknown and of sparing of the last of the same examples that has any; None without one.
        others: other data that the bundle was audited on, in words; its scores do not compare.
        unchanged: the examples are those of the run's data as they are now; None where the data is not here.
        ended: the end of the last, in seconds since 1970.
        streams: the scores of the last complete audit of streams, which are of `heard`, in words.
    """

    result: AuditResult | None = None
    others: tuple[str, ...] = ()
    unchanged: bool | None = None
    ended: float = 0.0
    streams: tuple[StreamScore, ...] = ()
    heard: str = ""

    @property
    def scores(self) -> dict[str, SubsetScore]:
        """The scores by subset; empty without an audit."""
        return self.result.subsets if self.result else {}


def audits(run: Path) -> Audits:
    """Return the audits of a run's bundle: empty without a record or a bundle."""
    manifest, record = run / BUNDLE / FILE_NAME, run / AUDIT
    if not record.exists() or not manifest.exists():
        return Audits()
    shipped = read_manifest(manifest)
    bundles = {fingerprint(run / BUNDLE), *(shipped.provenance.extends or ())}
    evaluated = (shipped.provenance.dataset, EVALUATED)
    complete = [r for r in read_runs(record) if r.bundle in bundles and r.ended]
    audited = [r for r in complete if r.kind == "audit"]
    # A name is not enough: another folder may have it, and an index may have lost lines.
    named = {r.id: read_data(record, r.id) for r in audited if (r.dataset, r.split) == evaluated}
    now = _data_now(run, shipped)
    data = now if now in named.values() else ["", *named.values()][-1]
    own = [r for r in audited if named.get(r.id) == data]
    others = dict.fromkeys(
        data_title(r.dataset, r.split) + (", other examples" if r.id in named else "")
        for r in audited
        if r not in own
    )
    if not own:
        return Audits(others=tuple(others))
    degraded = [scores for r in own if (scores := read_conditions(record, r.id))]
    strange = [found for r in own if (found := read_unknown(record, r.id))]
    spared = [score for r in own if (score := read_sparing(record, r.id))]
    heard = [r for r in complete if r.kind == "streams"][-1:]
    result = replace(
        recorded_audit(record, own[-1]),
        conditions=tuple(degraded[-1]) if degraded else (),
        unknown=tuple(strange[-1]) if strange else (),
        sparing=spared[-1] if spared else None,
    )
    return Audits(
        result,
        tuple(others),
        data == now if now else None,
        own[-1].ended or 0.0,
        tuple(score for r in heard for score in read_stream_scores(record, r.id)),
        "".join(data_title(r.dataset, r.split) for r in heard),
    )


def _data_now(run: Path, manifest: Manifest) -> str | None:
    """Return the SHA-256 of what an audit on the run's data would answer; None where the data is not here."""
    folder = data_of(run / BUNDLE)
    if folder is None or not (folder / "index.jsonl").is_file():
        return None
    with suppress(BadDataError):
        examples = [e for e in read_dataset(folder).split(EVALUATED) if {*e.modalities} & {*manifest.specs}]
        return data_digest(
            (one.id, one.labels, content) for one, content in zip(examples, contents(examples), strict=True)
        )
    return None
