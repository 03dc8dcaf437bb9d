"""Writing a bundle: every artifact made, measured, compared; only then the folder takes its place."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import save
from sensemble_runtime.bundle import manifest as manifests
from sensemble_runtime.bundle.head import save_head
from sensemble_runtime.bundle.manifest import Artifact, FileEntry, Manifest, ModalityEntry, Provenance
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.progress import Progress
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from torch import Tensor, from_numpy

from sensemble_export import partition_report
from sensemble_export.artifact_store import Made, Workshop
from sensemble_export.errors import ExportError, ParityFailedError
from sensemble_export.parity import FLOATS, least_cosine
from sensemble_export.partition_report import write_lowering
from sensemble_export.readme import readme
from sensemble_export.staging import beside, put_back, replace, writing
from sensemble_export.targets import TARGETS, Job, plan

ENCLOSED = 64
"""Held-out windows of each modality, at most, that stand beside a bundle, to measure parity where it runs."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a model came from, for the provenance.

    Attributes:
        train_modalities: M_T.
        method: `finetune`, `masd+wiseft`, ...
        dataset: its name.
    """

    train_modalities: tuple[str, ...]
    method: str
    dataset: str


def export_bundle(
    model: Model,
    out: Path,
    origin: Origin,
    *,
    calibration: Mapping[str, Tensor],
    held_out: Clips,
    jobs: Sequence[Job] = (),
    progress: Progress | None = None,
) -> Manifest:
    """Export `model`, each encoder on its own, into the bundle `out`.

    The bundle is made beside `out` and renamed, so that whatever fails leaves the previous one as it was. A
    few held-out windows go into a folder beside it (`place.held_out_of`): they are of persons, perhaps.

    Args:
        model: trained; its encoders take the raw tensors of their specs.
        out: the bundle's folder; a bundle in it is replaced.
        origin: for the provenance.
        calibration: modality -> raw windows [N, ...] from training data, from which int8 takes its ranges; of
            all of them, and a few dozen are enough.
        held_out: raw windows of the evaluation set, on which parity and latency are measured and, if it has
            targets, the accuracy of every subset, float and quantized.
        jobs: what to make, from `targets.plan`; without any, the default for XNNPACK.
        progress: called with (steps done, steps in all), from other threads too.

    Returns:
        The manifest that was written.

    Raises:
        CalibrationMissingError: a modality of the model has no calibration or held-out windows.
        NotLowerableError: an encoder cannot be exported.
        MeasurementError: an artifact does not run in the runtime.
        ParityFailedError: an artifact's mean cosine similarity to its float encoder is below what its scheme
            must reach (`parity.least_cosine`), or one that does not run here does not read back as it should.
        ExportError: `out` is something else than a bundle, another export is writing it, or it cannot be
            written.
    """
    jobs = jobs or plan(model.modalities, ["executorch-xnnpack"], [])
    with workshop(model, out, calibration, held_out) as shop:
        shop.make((*jobs, *floats(jobs)), progress)
        return write_bundle(shop, jobs, out, origin)


@contextmanager
def workshop(
    model: Model, out: Path, calibration: Mapping[str, Tensor], held_out: Clips
) -> Iterator[Workshop]:
    """Give a workshop beside `out`, where a bundle can be renamed from; it goes when the block ends.

    Raises:
        CalibrationMissingError, ExportError: as `export_bundle`.
    """
    if out.exists() and not (out / manifests.FILE_NAME).is_file():
        raise ExportError(f"{out}: exists and is not a bundle; choose another folder or remove it")
    with ExitStack() as stack:
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            folder = stack.enter_context(beside(out))
            shop = Workshop(model, folder, calibration, held_out)
        yield shop


def floats(jobs: Sequence[Job]) -> list[Job]:
    """Return the float artifacts that `jobs` are compared with in size and latency: the first target's."""
    target = jobs[0].target
    return [Job(job.modality, target, TARGETS[target].schemes[0]) for job in jobs if job.target == target]


def write_bundle(shop: Workshop, jobs: Sequence[Job], out: Path, origin: Origin) -> Manifest:
    """Put what `shop` made of `jobs` (and of `floats(jobs)`) into the bundle `out`, if it is good.

    What is written of it was measured on the examples that the shop holds out now: let them be of `eval`.

    Raises:
        ParityFailedError: it is not; as `export_bundle`.
        ExportError: `out` cannot be written.
    """
    for job in dict.fromkeys((*jobs, *floats(jobs))):
        if job in shop.made:  # a search may have left a float one out
            _check(job, shop.made[job])
    with writing(out):
        return _write(shop, jobs, out, origin)


def _write(shop: Workshop, jobs: Sequence[Job], out: Path, origin: Origin) -> Manifest:
    bundle, windows = shop.folder / "bundle", shop.folder / "held_out"
    bundle.mkdir()
    windows.mkdir()
    entries = {
        m: ModalityEntry(
            shop.model.description.specs[m],
            {job.target: _place(bundle, job, shop.made[job]) for job in jobs if job.modality == m},
        )
        for m in shop.model.modalities
    }
    contents = _describe(shop, bundle, windows, entries, _provenance(shop, jobs, origin))
    write_manifest(contents, bundle / manifests.FILE_NAME)
    divided = {entries[job.modality].artifacts[job.target].path: shop.made[job].delegation for job in jobs}
    write_lowering(
        {path: found for path, found in divided.items() if found}, bundle / partition_report.FILE_NAME
    )
    (bundle / "README.md").write_text(readme(contents), encoding="utf-8")
    try:
        replace(shop.folder, out)
    finally:  # whatever came between, an interrupt too
        put_back(shop.folder, out)
    return contents


def _check(job: Job, made: Made) -> None:
    least = least_cosine(job.scheme)
    if made.parity is not None and not made.parity.cosine >= least:
        remedy = "choose another scheme, calibrate on more and more typical windows, or train longer"
        raise ParityFailedError(
            f"{job.modality}: {job.scheme} embeddings for {job.target} have a mean cosine of "
            f"{made.parity.cosine:.5f} to the trained encoder's, below {least}; "
            + ("file it as a bug" if job.scheme in FLOATS else remedy)
        )


def _provenance(shop: Workshop, jobs: Sequence[Job], origin: Origin) -> Provenance:
    """Score the float model and every target that ran here, and look at the float artifacts."""
    accuracy = {}
    for target in dict.fromkeys(job.target for job in jobs):
        measured = {job.modality: shop.made[job].measured for job in jobs if job.target == target}
        embeddings = {m: found.embeddings for m, found in measured.items() if found is not None}
        if embeddings and (scores := shop.scores(embeddings)):
            accuracy[target] = scores
    whole = {job.modality: shop.made[job] for job in floats(jobs) if job in shop.made}
    tools = {"torch", *(tool for job in jobs for tool in TARGETS[job.target].tools)}
    return Provenance(
        train_modalities=tuple(sorted(origin.train_modalities)),
        method=origin.method,
        dataset=origin.dataset,
        accuracy=shop.scores(shop.expected),
        accuracy_quantized=accuracy,
        float_bytes={m: made.bytes for m, made in whole.items()},
        float_latency_ms={m: made.measured.median_ms for m, made in whole.items() if made.measured},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        tools={tool: version(tool) for tool in sorted(tools)},
    )


def _place(bundle: Path, job: Job, made: Made) -> Artifact:
    """Move an artifact into the bundle and describe it."""
    path = f"{job.modality}/{job.target}.{job.scheme}{TARGETS[job.target].suffix}"
    placed = bundle / path
    placed.parent.mkdir(exist_ok=True)
    made.path.rename(placed)
    inside = sorted(file for file in (placed, *placed.rglob("*")) if file.is_file())
    files = tuple(_file(bundle, file.relative_to(bundle).as_posix()) for file in inside)
    found = made.measured
    return Artifact(
        path,
        files,
        job.scheme,
        job.kept,
        made.parity,
        found.median_ms if found else None,
        found.peak_mb if found else None,
        TARGETS[job.target].differs,
    )


def _describe(
    shop: Workshop, bundle: Path, beside: Path, entries: dict[str, ModalityEntry], provenance: Provenance
) -> Manifest:
    """Write all that is not an artifact into the bundle and beside it; return the manifest of the whole."""
    model, tokenizer, held_out = shop.model, None, {}
    save_head(shop.head, bundle / "head.safetensors")
    if model.tokenizer is not None and "text" in entries:
        model.tokenizer.save(str(bundle / "tokenizer.json"))
        tokenizer = _file(bundle, "tokenizer.json")
    for modality, windows in shop.windows.items():
        enclosed = {
            "windows": windows[:ENCLOSED],
            "embeddings": from_numpy(shop.expected[modality][:ENCLOSED]),
        }
        path = f"{modality}.safetensors"
        (beside / path).write_bytes(save({key: rows.contiguous() for key, rows in enclosed.items()}))
        held_out[modality] = _file(beside, path)
    return Manifest(
        manifests.SCHEMA,
        entries,
        shop.head.weight.shape[1],
        model.description.labels,
        shop.head.task,
        _file(bundle, "head.safetensors"),
        tokenizer,
        held_out,
        provenance,
    )


def _file(bundle: Path, path: str) -> FileEntry:
    content = (bundle / path).read_bytes()
    return FileEntry(path, len(content), hashlib.sha256(content).hexdigest())
