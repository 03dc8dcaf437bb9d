"""The export of an instant head: no encoder is quantized, and each is lowered once for all takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sensemble_runtime.auditing.calibration import ALPHA, calibrate
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.bundle.manifest import Calibration, Manifest
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.progress import Progress, no_progress
from sensemble_train.data.clips import Clips
from sensemble_train.recipe.instant import Instant

from sensemble_export.bundle import Origin, place, staged_store
from sensemble_export.fitting import FLOOR
from sensemble_export.targets import Job

METHOD = "instant"
"""The name of the method in a bundle's provenance."""
_MEASURED = 8  # windows of each modality on which parity and latency are measured


def export_instant(
    found: Instant, out: Path | str, dataset: str, progress: Progress = no_progress
) -> Manifest:
    """Export an instant head, calibrated and audited by what it says of groups left out.

    Args:
        found: the head.
        out: the bundle's folder; a bundle in it is replaced.
        dataset: the name of the data.
        progress: called with (steps done, steps in all), from other threads too.

    Raises:
        NotLowerableError, MeasurementError, ParityFailedError, ExportError: as `export_bundle`.
    """
    out, model, examples = Path(out), found.model, found.examples
    task, truth, groups = model.description.task, examples.targets, group_codes(found.groups)
    assert truth is not None  # noqa: S101 - all have labels
    present = {m: examples.present[m].numpy() for m in model.modalities}
    logits = pool_subsets(np.stack([found.left_out[m].numpy() for m in model.modalities]))
    fitted = calibrate(logits, present, truth.numpy(), task, groups=groups, added=True)
    scores = measure(logits, present, truth.numpy(), task, groups)
    jobs = [Job(m, "executorch-xnnpack", "fp32") for m in model.modalities]
    with staged_store(model, out, {}, _shown(examples)) as store:
        store.make(jobs, progress)
        calibration = Calibration(ALPHA, FLOOR, fitted, {})
        origin = Origin(model.modalities, METHOD, dataset)
        return place(store, jobs, out, origin, calibration, scores.subsets if scores else {})


def _shown(examples: Clips) -> Clips:
    """Return a few windows of each modality to measure on, without labels: the head was fitted to them."""
    rows = torch.cat([there.nonzero().flatten()[:_MEASURED] for there in examples.present.values()]).unique()
    return replace(examples.take(rows), targets=None)
