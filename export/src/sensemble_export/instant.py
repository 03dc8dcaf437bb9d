"""The export of an instant head: each encoder is lowered once for all takes, in schemes without ranges."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import torch
from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import plain
from sensemble_runtime.auditing.calibration import (
    CONFIDENT,
    REDUNDANT,
    RISK,
    calibrate,
    fit_redundancy,
    fit_threshold,
)
from sensemble_runtime.auditing.intervals import group_codes, people_codes
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.bundle.manifest import Calibration, Manifest, Scheme
from sensemble_runtime.progress import Progress, no_progress
from sensemble_sensors.spec import InputSpec
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.recipe.instant import FrozenEncoders, Instant
from torch import Tensor

from sensemble_export.bundle.write import Origin, place, staged_store
from sensemble_export.lowering.targets import Job
from sensemble_export.measuring.artifact_store import ArtifactStore, BuiltArtifact
from sensemble_export.measuring.calibration import evidence_of

METHOD = "instant"  # in a bundle's provenance
UNLEARNED = "nothing learned yet"  # the only class of encoders without a head
_SCHEMES: dict[str, Scheme] = {"executorch-xnnpack": "fp32", "onnx": "int8-weights"}  # a page is downloaded
_NEVER = 2.0  # a threshold that no answer reaches
_MEASURED = 8  # windows of each modality on which parity and latency are measured


def lower_ahead(
    frozen: FrozenEncoders, progress: Progress = no_progress, target: str = "executorch-xnnpack"
) -> None:
    """Lower encoders into the user's cache, so that no later export of an instant head does."""
    model = frozen.model(frozen.specs, ("",), "multi-class")
    jobs, done = _jobs(model, [target]), count(1)
    store = ArtifactStore(model, Path(), {})  # which measures nothing, so it writes nothing there
    store.lower(jobs, lambda: progress(next(done), len(jobs)))


def export_encoders(frozen: FrozenEncoders, out: Path | str, progress: Progress = no_progress) -> Manifest:
    """Export encoders for browsers into the bundle `out`; a page learns the head, here empty, from takes.

    `progress` is called with (steps done, steps in all), from other threads too. Raises as `export_bundle`.
    """
    model = frozen.model(frozen.specs, (UNLEARNED,), "multi-class")
    source = torch.Generator().manual_seed(0)
    windows = {m: _noise(spec, source) for m, spec in frozen.specs.items()}
    shown = Clips(windows, {m: torch.ones(_MEASURED, dtype=torch.bool) for m in windows}, None)
    jobs, unfitted = _jobs(model, ["onnx"]), Calibration(RISK, _NEVER, 0, REDUNDANT, {}, {})
    with staged_store(model, Path(out), windows, shown) as store:
        store.make(jobs, progress)
        return place(
            store, jobs, Path(out), Origin((), METHOD, ""), store.model.description.specs, unfitted, {}
        )


def _noise(spec: InputSpec, source: torch.Generator) -> Tensor:
    """Return windows [N, ...] to measure parity on where nothing was recorded."""
    shape, dtype = (_MEASURED, *spec.shape[1:]), getattr(torch, spec.dtype)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=source) / 10
    return torch.randint(1, 256, shape, generator=source).to(dtype)


def export_instant(
    found: Instant,
    out: Path | str,
    dataset: str,
    progress: Progress = no_progress,
    proved: dict[Job, BuiltArtifact] | None = None,
    targets: Sequence[str] = ("executorch-xnnpack",),
) -> Manifest:
    """Export an instant head, calibrated and audited by its answers to groups left out.

    Args:
        found: the head.
        out: the bundle's folder; a bundle in it is replaced.
        dataset: the name of the data.
        progress: called with (steps done, steps in all), from other threads too.
        proved: the artifacts of earlier exports of the same encoders, to which this one's are added.
        targets: `executorch-xnnpack`, and `onnx` for browsers.

    Raises:
        NotLowerableError, MeasurementError, ParityFailedError, ExportError: as `export_bundle`.
    """
    out, model, examples = Path(out), found.model, found.examples
    task, truth, groups = model.description.task, examples.targets, group_codes(found.groups)
    assert truth is not None  # noqa: S101 - all have labels
    present = {m: examples.present[m].numpy() for m in model.modalities}
    logits = {m: found.left_out[m].numpy() for m in model.modalities}
    fitted = calibrate(logits, present, truth.numpy(), task, groups)
    jobs = _jobs(model, targets)
    with staged_store(model, out, {}, _windows_to_measure(examples)) as store:
        store.made |= proved or {}
        store.make(jobs, progress)
        if proved is not None:
            proved |= store.made
        start = Calibration(RISK, CONFIDENT, 0, REDUNDANT, fitted, found.limits)
        evidence = evidence_of(
            store, start, logits, {m: scores.numpy() for m, scores in found.likeness.items()}
        )
        redundancy = fit_redundancy(evidence, present, truth.numpy(), task)
        arguments = truth.numpy(), task, people_codes(found.people), redundancy
        threshold, count = fit_threshold(evidence, present, *arguments)
        answers = plain(evidence, subsets.measured(present), redundancy, task)
        scores = measure(np.stack(list(answers.values())), present, truth.numpy(), task, groups)
        store.head = replace(store.head, familiarity=found.familiarity)
        calibration = replace(start, threshold=threshold, groups=count, redundancy=redundancy)
        origin = Origin(model.modalities, METHOD, dataset)
        return place(
            store,
            jobs,
            out,
            origin,
            store.model.description.specs,
            calibration,
            scores.subsets if scores else {},
        )


def _jobs(model: Model, targets: Sequence[str]) -> list[Job]:
    return [Job(m, target, _SCHEMES[target]) for target in targets for m in model.modalities]


def _windows_to_measure(examples: Clips) -> Clips:
    """Return a few windows of each modality to measure on, without labels: the head was fitted to them."""
    rows = torch.cat([there.nonzero().flatten()[:_MEASURED] for there in examples.present.values()]).unique()
    return replace(examples.take(rows), targets=None)
