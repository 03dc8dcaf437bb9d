"""The calibration of a bundle, fitted with the artifacts that ship, and their scores."""

from collections.abc import Iterator, Sequence

from sensemble_runtime import subsets
from sensemble_runtime.auditing.calibration import ALPHA, LEAST, calibrate
from sensemble_runtime.auditing.intervals import group_codes, subset_scores
from sensemble_runtime.bundle.manifest import Calibration, Manifest
from sensemble_runtime.progress import Progress, no_progress
from sensemble_runtime.subsets import SubsetScore
from sensemble_train.data.clips import Clips

from sensemble_export.artifact_store import ArtifactStore
from sensemble_export.targets import Job


def fit_calibration(
    store: ArtifactStore, jobs: Sequence[Job], clips: Clips | None, progress: Progress = no_progress
) -> Calibration:
    """Fit a temperature and a threshold for each subset.

    Args:
        store: has made the artifacts of `jobs`.
        jobs: what ships; of several artifacts of a modality, the first that runs here is fitted on, and where
            none does, the float encoder.
        clips: labelled examples that the model was not trained on, but not of eval; None where there are
            none, so that every class is always a candidate.
        progress: called with (modalities done, modalities in all).

    Raises:
        CalibrationMissingError: windows do not fit an encoder's input.
        MeasurementError: an artifact does not run in the runtime.
    """
    if clips is None or clips.targets is None or not len(clips):
        return Calibration(ALPHA, {}, {})
    embeddings = store.encode(clips, jobs, progress)
    logits, present = store.logits(embeddings, clips)
    return Calibration(ALPHA, calibrate(logits, present, clips.targets.numpy(), store.head.task), {})


def score_shipped(
    store: ArtifactStore, jobs: Sequence[Job], groups: Sequence[str | None] | None
) -> dict[str, SubsetScore]:
    """Score each subset of what ships on the store's held-out examples, with intervals.

    Args:
        store: has measured the artifacts of `jobs`.
        jobs: as `fit_calibration` takes them; only artifacts that run here are scored.
        groups: the group of each held-out example, as in the dataset; None: each is one by itself.
    """
    targets = store.held_out.targets
    measured = {m: store.made[job].measured for m, job in store.running(jobs).items()}
    embeddings = {m: found.embeddings for m, found in measured.items() if found is not None}
    if targets is None or not embeddings:
        return {}
    logits, present = store.logits(embeddings, store.held_out)
    codes = group_codes(groups or [None] * len(store.held_out))
    return subset_scores(logits, present, targets.numpy(), store.head.task, codes)


def describe_calibration(manifest: Manifest) -> Iterator[str]:
    """Yield lines about what a bundle's calibration rests on, and what it lacks."""
    found = manifest.calibration.subsets
    if not found:
        yield "not calibrated, so every prediction is unsure: the data has no examples of the split calibrate"
        return
    few = [f"{subset} ({entry.examples})" for subset, entry in found.items() if entry.examples < LEAST]
    few += [
        f"{name} (0)" for name in map(subsets.name, subsets.subsets(manifest.modalities)) if name not in found
    ]
    most = max(entry.examples for entry in found.values())
    yield f"calibrated on up to {most} examples of the split calibrate"
    if few:
        yield (
            f"not calibrated, for fewer than {LEAST} examples of calibrate have them: {', '.join(few)}; "
            "their confidence is the classifier's own"
        )
