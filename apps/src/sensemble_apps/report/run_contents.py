"""Read a run folder for its pages: the run with its bundle, or its matrices."""

import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.metrics import METRICS
from sensemble_runtime.auditing.robustness import Matrix
from sensemble_runtime.bundle import signature
from sensemble_runtime.bundle.manifest import FILE_NAME, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.record.writer import fingerprint
from sensemble_runtime.scores import StreamScore
from sensemble_sensors.media.dataset import Example, read_dataset

from sensemble_apps.console import wording
from sensemble_apps.console.wording import data_title
from sensemble_apps.errors import InputError
from sensemble_apps.report.experiment import ExperimentContents
from sensemble_apps.tables import gate_verdict
from sensemble_apps.tables.audits import Audits, audits
from sensemble_apps.tables.gate_verdict import Verdicts
from sensemble_apps.tables.matrices import read_intervals, read_matrices
from sensemble_apps.tables.run_folder import (
    AUDIT,
    BUNDLE,
    CONFIG,
    EVALUATED,
    MATRIX,
    MODEL,
    SESSION,
    read_object,
)

_DATA = "data"  # its path is of the machine that trained; the title has its name


@dataclass(frozen=True)
class RunContents:
    """The contents of the report; a field is empty where the run lacks it.

    Attributes:
        title: the dataset's name.
        matrices: method -> matrix, in fractions.
        facts: provenance, in the order to show.
        audit: the last one on the run's own data, as `Audits.result`.
        others: other data that the bundle was audited on, in words.
        identity: fingerprints of the bundle and the data, in the order to show.
        session: the costs of a replay in real time (`RunSummary.to_json`); None where none was timed.
        verdicts: of each criterion that was required.
        examples: by id, those to show among the mistakes.
        streams, heard: as of `Audits`.
    """

    title: str
    matrices: Mapping[str, Matrix]
    manifest: Manifest
    audit: AuditResult
    facts: Sequence[tuple[str, str]]
    others: Sequence[str] = ()
    identity: Sequence[tuple[str, str]] = ()
    session: Mapping[str, Any] | None = None
    verdicts: Verdicts = ()
    examples: Mapping[str, Example] = field(default_factory=dict)
    streams: Sequence[StreamScore] = ()
    heard: str = ""


def of_experiment(run: Path) -> ExperimentContents:
    """Return the contents of the experiment's page."""
    settings = _settings(run / CONFIG)
    task = _settings(run / MODEL).get("task")
    return ExperimentContents(
        dataset=Path(settings.get(_DATA) or run.resolve()).name,
        metric=next((metric for known, metric in METRICS.items() if known == task), "score"),
        methods=read_matrices(run / MATRIX),
        facts=(*_lines(settings), *_versions()),
        intervals=[
            score
            for rows in read_intervals(run / MATRIX).values()
            for row in rows.values()
            for score, _ in row.values()
        ],
    )


def of_run(
    run: Path, require: str | None = None, trust: Path | None = None, data: Path | None = None
) -> RunContents:
    """Return the contents of a run's report, its audit judged by the criteria `require`.

    `trust` is the public key that must have signed the bundle; BundleUntrustedError if it did not. `data` is
    the dataset whose examples the page shows; without one, it names them. Raises InputError if the bundle was
    not audited on the run's own data.
    """
    matrices = read_matrices(run / MATRIX)
    manifest = read_manifest(run / BUNDLE / FILE_NAME, trust)
    measured = audits(run)
    if measured.result is None:
        raise InputError(
            f"{run}: its bundle was not audited on {data_title(manifest.provenance.dataset, EVALUATED)}; "
            f"`sensemble audit {run / BUNDLE} --data DATASET --record {run / AUDIT}`"
        )
    return RunContents(
        title=manifest.provenance.dataset,
        matrices=matrices,
        manifest=manifest,
        audit=measured.result,
        facts=(*_provenance(manifest), *_lines(_settings(run / CONFIG)), *_versions()),
        others=measured.others,
        identity=_identity(run, manifest.provenance.dataset, measured.result, measured, trust),
        session=_settings(run / SESSION) or None,
        verdicts=_verdicts(manifest, measured.result, require),
        examples={one.id: one for one in read_dataset(data).split(EVALUATED)} if data else {},
        streams=measured.streams,
        heard=measured.heard,
    )


def people_of(audit: AuditResult) -> int:
    """Return the number of people or groups of the examples; 0 where it is not known."""
    return audit.groups if any(audit.answered.named) else 0


def amount(audit: AuditResult) -> str:
    """Write the examples and the people behind the scores of an audit."""
    count = people_of(audit)
    who = f"of {wording.people(count)}" if count else "whose people are not named"
    return f"{max(score.n for score in audit.subsets.values())} examples of the split {EVALUATED}, {who}"


def _identity(
    run: Path, dataset: str, audit: AuditResult, measured: Audits, trust: Path | None
) -> list[tuple[str, str]]:
    signed = "unsigned"
    if trust is not None:
        signed = f"signed with the key to {trust.name}"
    elif (run / BUNDLE / signature.FILE_NAME).exists():
        signed = "its signature not checked (--trust KEY)"
    data = f"{dataset}; SHA-256 {audit.answered.data} of the examples that were answered"
    if measured.unchanged is not None:
        now = "which are" if measured.unchanged else "which are not"
        data = f"{data}, {now} those of its split {EVALUATED} as it is now"
    when = datetime.fromtimestamp(measured.ended, UTC)
    return [
        ("Bundle", f"SHA-256 {fingerprint(run / BUNDLE)} of its manifest, {signed}"),
        ("Data", data),
        ("Audit", f"{when:%Y-%m-%d %H:%M} UTC, {amount(audit)}"),
    ]


def _verdicts(manifest: Manifest, measured: AuditResult, require: str | None) -> Verdicts:
    if require is None:
        return []
    criteria = gate_verdict.parse(require, sorted(manifest.specs), manifest.specs)
    return gate_verdict.judged(criteria, measured)


def _settings(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if a run lacks the file, as one from elsewhere does."""
    return read_object(path) if path.exists() else {}


def _lines(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    return [
        (key.replace("_", " ").capitalize(), text)
        for key, value in settings.items()
        if key != _DATA and (value or key == "seed") and (text := _plain(value))
    ]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items() if key != _DATA)
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _provenance(manifest: Manifest) -> list[tuple[str, str]]:
    provenance = manifest.provenance
    return [
        ("Dataset", provenance.dataset),
        ("Classes", f"{len(manifest.labels)}, {manifest.task}"),
        ("Shipped method", wording.method_title(provenance.method)),
        ("Labelled modalities", subsets.name(provenance.train_modalities)),
        ("Exported", provenance.created),
    ]


def _versions() -> list[tuple[str, str]]:
    packages = []
    for name in ("sensemble-apps", "executorch", "torch"):
        with suppress(PackageNotFoundError):  # a board has no torch
            packages.append(f"{name} {version(name)}")
    return [("Versions", ", ".join([*packages, f"Python {platform.python_version()}"]))]
