"""Write a bundle: make, measure and check every artifact, and only then move the folder into place."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import save
from sensemble_runtime.auditing.intervals import Groups
from sensemble_runtime.bundle import manifest as manifests
from sensemble_runtime.bundle.head import save_head
from sensemble_runtime.bundle.manifest import (
    Artifact,
    Calibration,
    FileEntry,
    Manifest,
    ModalityEntry,
    Provenance,
)
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.executors import executor
from sensemble_runtime.progress import Progress, no_progress
from sensemble_runtime.scores import SubsetScore
from sensemble_sensors import durable
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import InputSpec
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from torch import Tensor, from_numpy, nn

from sensemble_export.bundle import partition_report
from sensemble_export.bundle.earlier import Earlier, earlier
from sensemble_export.bundle.partition_report import described, write_lowering
from sensemble_export.bundle.readme import readme
from sensemble_export.bundle.staging import replace, restore, staging_folder
from sensemble_export.errors import ExportError, ParityFailedError, disk_errors
from sensemble_export.lowering.targets import FLOAT, Job, plan, target_of
from sensemble_export.measuring.artifact_store import ArtifactStore, BuiltArtifact
from sensemble_export.measuring.calibration import NOTHING, FittedOn, fit_calibration, score_shipped
from sensemble_export.measuring.parity import FLOATS, is_close, least_cosine

ENCLOSED = 64  # the most held-out windows of a modality next to a bundle, to measure parity elsewhere


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a model, for the provenance.

    Attributes:
        train_modalities: M_T, the modalities that it was trained on.
        method: `finetune`, `masd+wiseft`, ...
    """

    train_modalities: tuple[str, ...]
    method: str
    dataset: str


def export_bundle(
    model: Model,
    out: Path | str,
    origin: Origin,
    *,
    calibration: Mapping[str, Tensor],
    held_out: Clips,
    groups: Groups | None = None,
    fitted_on: FittedOn = NOTHING,
    jobs: Sequence[Job] = (),
    progress: Progress = no_progress,
) -> Manifest:
    """Export each encoder of `model` separately into the bundle `out`.

    The bundle is made in a staging folder and renamed, so a failure leaves the previous bundle as it was. A
    few held-out windows go into a folder next to it (`staging.held_out_folder`), which does not ship: they
    may show persons.

    Args:
        calibration: modality -> raw windows [N, ...] from training data, for the ranges of int8. A few dozen
            are enough.
        held_out: raw windows of the evaluation split, on which parity, latency and, with targets, the
            accuracy of every subset are measured.
        groups: the group or groups of each held-out example, for the intervals of accuracy; None: each
            stands alone.
        fitted_on: the examples for calibration and familiarity; without it, every prediction is unsure.
        jobs: the artifacts to make, from `targets.plan`; by default, those for `executorch-xnnpack`.
        progress: called with (steps done, steps in all), from other threads too.

    Raises:
        CalibrationMissingError: a modality of the model has no calibration or held-out windows.
        NotLowerableError: an encoder cannot be exported.
        MeasurementError: an artifact does not run in the runtime.
        ParityFailedError: an artifact's mean cosine similarity to its float encoder is below its scheme's
            minimum (`parity.least_cosine`).
        ExportError: `out` is not a bundle, another export is writing it, or it cannot be written.
    """
    out = Path(out)
    jobs = jobs or plan(model.modalities)
    with staged_store(model, out, calibration, held_out) as store:
        before = earlier(model, store.head, out)
        store.make(jobs, progress)
        return write_bundle(store, jobs, out, origin, before, groups=groups, fitted_on=fitted_on)


@contextmanager
def staged_store(
    model: Model, out: Path, calibration: Mapping[str, Tensor], held_out: Clips | None = None
) -> Iterator[ArtifactStore]:
    """Yield an artifact store in the staging folder of `out`, and remove it when the block ends."""
    if out.exists() and not (out / manifests.FILE_NAME).is_file():
        raise ExportError(f"{out}: exists and is not a bundle; choose another folder or remove it")
    with ExitStack() as stack:
        with disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(staging_folder(out))
            store = ArtifactStore(model, folder, calibration, held_out)
        yield store


def write_bundle(
    store: ArtifactStore,
    jobs: Sequence[Job],
    out: Path,
    origin: Origin,
    before: Earlier | None = None,
    *,
    groups: Groups | None = None,
    fitted_on: FittedOn = NOTHING,
) -> Manifest:
    """Write the artifacts of `jobs`, which `store` has made and measured (on eval), into the bundle `out`.

    Those of `before` for other targets stay; if all of them do, so do its head, calibration and scores.
    """
    if before is not None and before.is_extended_by({job.target for job in jobs}):
        store.head, contents = before.head, before.manifest
        return place(store, jobs, out, origin, contents.specs, contents.calibration, contents.audited, before)
    fitted = fit_calibration(store, jobs, fitted_on)
    store.head = dataclasses.replace(store.head, familiarity=fitted.familiarity)
    audited = score_shipped(store, jobs, groups, fitted.calibration)
    return place(store, jobs, out, origin, fitted.specs, fitted.calibration, audited, before)


def place(
    store: ArtifactStore,
    jobs: Sequence[Job],
    out: Path,
    origin: Origin,
    specs: Mapping[str, InputSpec],
    calibration: Calibration,
    audited: dict[str, SubsetScore],
    before: Earlier | None = None,
) -> Manifest:
    """Write a bundle whose calibration and scores are known; raises as `write_bundle`."""
    for job in jobs:
        _check(job, store.made[job])
    bundle, model = store.folder / "bundle", store.model
    with disk_errors(out):
        bundle.mkdir()
        entries = {
            m: ModalityEntry(
                specs[m],
                {job.target: _place(bundle, job, store.made[job]) for job in jobs if job.modality == m},
            )
            for m in model.modalities
        }
        save_head(store.head, bundle / "head.safetensors")
        contents = Manifest(
            manifests.SCHEMA,
            entries,
            store.head.weight.shape[1],
            model.description.labels,
            store.head.task,
            _file(bundle, "head.safetensors"),
            _tokenizer(model, bundle),
            _held_out(store),
            _provenance(store, jobs, origin),
            calibration,
            audited,
        )
        made = {
            entries[job.modality].artifacts[job.target].path: store.made[job].lowered.delegation
            for job in jobs
        }
        reports = {path: described(found) for path, found in made.items() if found}
        if before is not None:
            contents, kept = before.joined(contents, bundle)
            reports |= kept
        write_manifest(contents, bundle / manifests.FILE_NAME)
        write_lowering(reports, bundle / partition_report.FILE_NAME)
        (bundle / "README.md").write_text(readme(contents), encoding="utf-8")
        try:
            replace(store.folder, out)
        finally:  # also after an interrupt
            restore(store.folder, out)
    return contents


def _check(job: Job, made: BuiltArtifact) -> None:
    if made.parity is not None and not is_close(job.scheme, made.parity):
        remedy = "choose another scheme, calibrate on more and more typical windows, or train longer"
        raise ParityFailedError(
            f"{job.modality}: {job.scheme} embeddings for {job.target} have a mean cosine of "
            f"{made.parity.cosine:.5f} to the trained encoder's, below {least_cosine(job.scheme)}; "
            + ("file it as a bug" if job.scheme in FLOATS else remedy)
        )


def _provenance(store: ArtifactStore, jobs: Sequence[Job], origin: Origin) -> Provenance:
    """Score the float model and every target that runs here, and say what the encoders cost in float.

    Their latency is known where they were lowered in float, too: a search does so.
    """
    accuracy = {}
    for target in dict.fromkeys(job.target for job in jobs):
        measured = {job.modality: store.made[job].measured for job in jobs if job.target == target}
        embeddings = {m: found.embeddings for m, found in measured.items() if found is not None}
        if embeddings and (scores := store.scores(embeddings)):
            accuracy[target] = scores
    whole = {m: store.made.get(Job(m, jobs[0].target, FLOAT)) for m in store.model.modalities}
    tools = {"torch", *(tool for job in jobs for tool in target_of(job.target).tools)}
    return Provenance(
        train_modalities=tuple(sorted(origin.train_modalities)),
        method=origin.method,
        dataset=origin.dataset,
        accuracy=store.scores(store.expected),
        accuracy_quantized=accuracy,
        float_bytes={m: _size(encoder) for m, encoder in store.model.encoders.items()},
        float_latency_ms={
            m: made.measured.costs.median_ms for m, made in whole.items() if made and made.measured
        },
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        tools={tool: version(tool) for tool in sorted(tools)},
    )


def _size(encoder: nn.Module) -> int:
    return sum(x.nbytes for x in (*encoder.parameters(), *encoder.buffers()))


def _place(bundle: Path, job: Job, made: BuiltArtifact) -> Artifact:
    path = f"{job.modality}/{job.target}.{job.scheme}{target_of(job.target).suffix}"
    placed = bundle / path
    placed.parent.mkdir(exist_ok=True)
    executor.write(made.lowered.files, placed)
    inside = sorted(placed / name for name in made.lowered.files)
    files = tuple(_file(bundle, file.relative_to(bundle).as_posix()) for file in inside)
    found = made.measured.costs if made.measured else None
    return Artifact(
        path,
        files,
        job.scheme,
        made.parity,
        found.median_ms if found else None,
        found.peak_mb if found else None,
        found.threads if found else None,
    )


def _tokenizer(model: Model, bundle: Path) -> FileEntry | None:
    """Write the tokenizer, if one of the modalities takes tokens."""
    if model.tokenizer is None or not any(kind_of(s).tokenized for s in model.description.specs.values()):
        return None
    model.tokenizer.save(str(bundle / "tokenizer.json"))
    return _file(bundle, "tokenizer.json")


def _held_out(store: ArtifactStore) -> dict[str, FileEntry]:
    """Write some held-out windows with their float embeddings, by modality."""
    folder, files = store.folder / "held_out", dict[str, FileEntry]()
    folder.mkdir(durable.PRIVATE_FOLDER)  # what sensors saw and heard
    for modality, windows in store.windows.items():
        embeddings = from_numpy(store.expected[modality][:ENCLOSED])
        enclosed = {"windows": windows[:ENCLOSED].contiguous(), "embeddings": embeddings.contiguous()}
        durable.write(folder / f"{modality}.safetensors", save(enclosed), private=True)
        files[modality] = _file(folder, f"{modality}.safetensors")
    return files


def _file(bundle: Path, path: str) -> FileEntry:
    content = (bundle / path).read_bytes()
    return FileEntry(path, len(content), hashlib.sha256(content).hexdigest())
