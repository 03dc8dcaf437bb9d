"""Writing a bundle: every encoder lowered, measured, compared; only then the folder takes its place."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sensemble_runtime import manifest as manifests
from sensemble_runtime.fusion import pool_subsets
from sensemble_runtime.head import Head, save_head
from sensemble_runtime.manifest import Artifact, FileEntry, Manifest, ModalityEntry, Parity, Provenance
from sensemble_runtime.scores import score
from sensemble_runtime.subsets import name, subsets
from sensemble_train.data import Clips
from sensemble_train.model import Model, save_model
from torch import Tensor

from sensemble_export import lowering
from sensemble_export.errors import CalibrationMissingError, ExportError, ParityFailedError
from sensemble_export.lowering import write_lowering
from sensemble_export.parity import Measurement, compare, measure
from sensemble_export.pool import lower_all
from sensemble_export.readme import readme

TARGET = "executorch-xnnpack"
"""The executor for which the artifacts are (`sensemble_runtime.executor`)."""
LEAST_COSINE = 0.98
"""The mean cosine similarity to the float encoder below which an artifact is not worth shipping."""

Progress = Callable[[int, int], None]


def export_bundle(
    model: Model,
    out: Path,
    *,
    calibration: Mapping[str, Tensor],
    held_out: Clips,
    train_modalities: tuple[str, ...],
    method: str,
    dataset: str,
    progress: Progress | None = None,
) -> Manifest:
    """Export `model`, each encoder on its own as int8 for ExecuTorch, into the bundle `out`.

    The bundle is made beside `out` and renamed, so that whatever fails leaves the previous one as it was.

    Args:
        model: trained; its encoders take the raw tensors of their specs.
        out: the bundle's folder; a bundle in it is replaced.
        calibration: modality -> raw windows [N, ...] from training data, from which int8 takes its ranges.
        held_out: raw windows of the evaluation set, on which parity and latency are measured and, if it has
            targets, the accuracy of every subset, float and quantized.
        train_modalities: M_T, for the provenance, as are the next two.
        method: `finetune`, `masd+wiseft`, ...
        dataset: its name.
        progress: called with (steps done, steps in all), from other threads too.

    Returns:
        The manifest that was written.

    Raises:
        CalibrationMissingError: a modality of the model has no calibration or held-out windows.
        NotLowerableError: an encoder cannot be exported.
        MeasurementError: an artifact does not run in the runtime.
        ParityFailedError: an artifact's mean cosine similarity to its float encoder is below `LEAST_COSINE`.
        ExportError: `out` is something else than a bundle.
    """
    if out.exists() and not (out / manifests.FILE_NAME).is_file():
        raise ExportError(f"{out}: exists and is not a bundle; choose another folder or remove it")
    windows = _windows(model, calibration, held_out)
    steps = _Steps(4 * len(model.modalities), progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as beside:
        scratch = Path(beside)
        save_model(model, scratch / "model")
        for modality, (ranges, held) in windows.items():
            save_file({"windows": ranges.contiguous()}, scratch / f"calibration.{modality}.safetensors")
            save_file({"windows": held.contiguous()}, scratch / f"held_out.{modality}.safetensors")
        tasks = [f"{m}:{scheme}" for scheme in ("int8", "fp32") for m in model.modalities]
        divisions = lower_all(scratch, tasks, steps.step)
        measured: dict[str, dict[str, Measurement]] = {"int8": {}, "fp32": {}}
        for modality in model.modalities:
            for scheme, found in measured.items():
                stored = scratch / f"held_out.{modality}.safetensors"
                found[modality] = measure(scratch / f"{modality}.{scheme}.pte", TARGET, stored)
                steps.step()
        parities = {m: _parity(model, m, windows[m][1], measured["int8"][m]) for m in model.modalities}
        bundle = scratch / "bundle"
        bundle.mkdir()
        quantized, floats = measured["int8"], measured["fp32"]
        provenance = Provenance(
            train_modalities=tuple(sorted(train_modalities)),
            method=method,
            dataset=dataset,
            accuracy=_accuracies(model, held_out, floats),
            accuracy_quantized=_accuracies(model, held_out, quantized),
            float_bytes={m: (scratch / f"{m}.fp32.pte").stat().st_size for m in floats},
            float_latency_ms={m: found.median_ms for m, found in floats.items()},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        entries = {m: _place(model, m, scratch, parities[m], quantized[m]) for m in model.modalities}
        contents = _describe(model, bundle, entries, provenance)
        manifests.write_manifest(contents, bundle / manifests.FILE_NAME)
        write_lowering(divisions, bundle / lowering.FILE_NAME)
        (bundle / "README.md").write_text(readme(contents), encoding="utf-8")
        if out.exists():
            out.rename(scratch / "previous")
        bundle.rename(out)
    return contents


class _Steps:
    """Counts what is done, for the progress bar."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


def _windows(
    model: Model, calibration: Mapping[str, Tensor], held_out: Clips
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return each modality's calibration and held-out windows, checked against its spec."""
    windows = {}
    for modality in model.modalities:
        spec = model.description.specs[modality]
        empty = torch.zeros(0, *spec.shape[1:])
        held = held_out.inputs.get(modality, empty)
        held = held[held_out.present[modality]] if modality in held_out.present else held
        pair = (calibration.get(modality, empty), held)
        for kind, rows in zip(("calibration", "held-out"), pair, strict=True):
            if not len(rows):
                raise CalibrationMissingError(
                    f"{modality}: no {kind} windows; give some, or a dataset whose examples have {modality}"
                )
            found = (str(rows.dtype).removeprefix("torch."), tuple(rows.shape[1:]))
            if found != (spec.dtype, spec.shape[1:]):
                raise CalibrationMissingError(
                    f"{modality}: {kind} windows are {found[0]} {list(found[1])}, the encoder takes "
                    f"{spec.dtype} {list(spec.shape[1:])}; give the sensor's raw windows"
                )
        windows[modality] = pair
    return windows


@torch.no_grad()
def _parity(model: Model, modality: str, held: Tensor, found: Measurement) -> Parity:
    encoder = model.encoders[modality].eval()
    expected = torch.cat([encoder(rows) for rows in torch.split(held, 64)]).numpy()
    parity = compare(found.embeddings, expected)
    if not parity.cosine >= LEAST_COSINE:
        raise ParityFailedError(
            f"{modality}: int8 embeddings have a mean cosine of {parity.cosine:.4f} to the float ones, below "
            f"{LEAST_COSINE}; calibrate on more and more typical windows, or train longer"
        )
    return parity


def _accuracies(model: Model, held_out: Clips, measured: Mapping[str, Measurement]) -> dict[str, float]:
    """Score every subset on the held-out examples that have all of it, from what the artifacts gave."""
    if held_out.targets is None:
        return {}
    head, present, targets = _head(model), {}, held_out.targets.numpy()
    stacked = np.zeros((len(measured), len(held_out), head.weight.shape[1]), dtype=np.float32)
    for row, (modality, found) in zip(stacked, sorted(measured.items()), strict=True):
        present[modality] = held_out.present[modality].numpy()
        row[present[modality]] = found.embeddings
    scores = {}
    for subset, pooled in zip(subsets(measured), pool_subsets(stacked), strict=True):
        has = np.all([present[m] for m in subset], axis=0)
        if has.any():
            scores[name(subset)] = score(head.probabilities(pooled[has]), targets[has], head.task)
    return scores


def _head(model: Model) -> Head:
    weight, bias = model.head.weight.detach().numpy(), model.head.bias.detach().numpy()
    return Head(weight, bias, model.description.task)


def _place(model: Model, modality: str, scratch: Path, parity: Parity, found: Measurement) -> ModalityEntry:
    """Move an encoder's program into the bundle and describe it."""
    path = f"{modality}/{TARGET}.int8.pte"
    (scratch / "bundle" / modality).mkdir()
    (scratch / f"{modality}.int8.pte").rename(scratch / "bundle" / path)
    file = _file(scratch / "bundle", path)
    artifact = Artifact(path, file.bytes, file.sha256, "int8", parity, found.median_ms, found.peak_mb)
    return ModalityEntry(model.description.specs[modality], {TARGET: artifact})


def _describe(
    model: Model, bundle: Path, entries: dict[str, ModalityEntry], provenance: Provenance
) -> Manifest:
    """Write the head and the tokenizer into the bundle and return the manifest of it all."""
    head, tokenizer = _head(model), None
    save_head(head, bundle / "head.safetensors")
    if model.tokenizer is not None and "text" in entries:
        model.tokenizer.save(str(bundle / "tokenizer.json"))
        tokenizer = _file(bundle, "tokenizer.json")
    return Manifest(
        manifests.SCHEMA,
        entries,
        head.weight.shape[1],
        model.description.labels,
        head.task,
        _file(bundle, "head.safetensors"),
        tokenizer,
        provenance,
    )


def _file(bundle: Path, path: str) -> FileEntry:
    content = (bundle / path).read_bytes()
    return FileEntry(path, len(content), hashlib.sha256(content).hexdigest())
