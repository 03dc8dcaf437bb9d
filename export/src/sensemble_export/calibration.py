"""The calibration of a bundle, fitted with the artifacts that ship, and their scores."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sensemble_runtime import subsets
from sensemble_runtime.auditing.calibration import ALPHA, LEAST, calibrate, quantile
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.bundle.head import Familiarity
from sensemble_runtime.bundle.manifest import Calibration, Manifest, SubsetCalibration
from sensemble_runtime.subsets import SubsetScore
from sensemble_train.data.clips import Clips
from torch import Tensor

from sensemble_export import familiarity
from sensemble_export.artifact_store import ArtifactStore
from sensemble_export.parity import Floats
from sensemble_export.targets import Job

STRANGE = 0.05
"""The share of known windows that count as unfamiliar; only a run of them takes a modality out."""
NEVER = -1e12
"""A threshold below every score, where too few known windows were held out to set one."""


@dataclass(frozen=True, slots=True)
class FittedOn:
    """The examples that calibration is fitted on, none of them of eval.

    Attributes:
        calibrate: raw windows and targets of the split calibrate, which the model was not trained on; None:
            nothing is scaled, and every class is always a candidate.
        groups: the group of each of these examples, as in the dataset; None: it is one by itself.
        known: modality -> raw windows that the model was trained on, of every modality; empty: there are no
            scores of familiarity.
        background: modality -> raw windows that show none of the classes, as `familiarity.synthetic` makes.
    """

    calibrate: Clips | None = None
    groups: Sequence[str | None] = ()
    known: Mapping[str, Tensor] = field(default_factory=dict)
    background: Mapping[str, Tensor] = field(default_factory=dict)


NOTHING = FittedOn()


def fit_calibration(
    store: ArtifactStore, jobs: Sequence[Job], data: FittedOn
) -> tuple[Calibration, Familiarity | None]:
    """Fit the calibration of each subset, and how familiar the windows of each modality are.

    Args:
        store: has made the artifacts of `jobs`.
        jobs: what ships; of several artifacts of a modality, the first that runs here is fitted on, and where
            none does, the float encoder.
        data: the examples.

    Raises:
        CalibrationMissingError: windows do not fit an encoder's input.
        MeasurementError: an artifact does not run in the runtime.
    """
    embeddings, subset = dict[str, Floats](), dict[str, SubsetCalibration]()
    clips = data.calibrate
    if clips is not None and clips.targets is not None and len(clips):
        embeddings = store.encode(clips, jobs)
        logits, present = store.logits(embeddings, clips)
        codes = group_codes(data.groups or [None] * len(clips))
        subset = calibrate(logits, present, clips.targets.numpy(), store.head.task, groups=codes)
    if not data.known:
        return Calibration(ALPHA, subset, {}), None
    sides = (
        {m: store.embed(m, windows[m], jobs) for m in windows} for windows in (data.known, data.background)
    )
    scores = Familiarity(*familiarity.fit(*sides))
    thresholds = {
        modality: _least_familiar(scores, row, embeddings.get(modality))
        for row, modality in enumerate(sorted(data.known))
    }
    return Calibration(ALPHA, subset, thresholds), scores


def _least_familiar(scores: Familiarity, row: int, embeddings: Floats | None) -> float:
    """Return the score that all but `STRANGE` of new known windows reach; NEVER for too few examples."""
    if embeddings is None:
        return NEVER
    found = -quantile(-(embeddings @ scores.weight[row] + scores.bias[row]), STRANGE)
    return max(found, NEVER)


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
    found = measure(logits, present, targets.numpy(), store.head.task, codes)
    return found.subsets if found else {}


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
