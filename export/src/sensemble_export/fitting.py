"""The calibration of a bundle, fitted with the artifacts that ship, and their scores."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime import subsets
from sensemble_runtime.auditing.calibration import ALPHA, LEAST, calibrate, quantile
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.auditing.measures import measure
from sensemble_runtime.bundle.head import Familiarity, Head
from sensemble_runtime.bundle.manifest import Calibration, Manifest, groups_needed
from sensemble_runtime.scores import SubsetScore
from sensemble_train.data.clips import Clips
from torch import Tensor

from sensemble_export import familiarity
from sensemble_export.artifact_store import ArtifactStore
from sensemble_export.parity import Floats
from sensemble_export.targets import Job

UNFAMILIAR = 0.02  # share of known windows that count as unfamiliar, one at least
LEAST_KNOWN = 19  # known windows below which nothing counts as unfamiliar
FLOOR = 0.5  # the least confidence of a sure answer: it is right more often than not


@dataclass(frozen=True, slots=True)
class FittedOn:
    """The examples that calibration is fitted on, none of them of eval; all windows are raw."""

    calibrate: Clips | None = None  # not trained on; None: nothing is scaled, and every class is a candidate
    groups: Sequence[str | None] = ()  # of `calibrate`
    known: Mapping[str, Tensor] = field(default_factory=dict)  # trained on; empty: no scores of familiarity
    background: Mapping[str, Tensor] = field(default_factory=dict)  # `familiarity.synthetic`
    degraded: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=dict)


NOTHING = FittedOn()


def fit_calibration(
    store: ArtifactStore, jobs: Sequence[Job], data: FittedOn
) -> tuple[Calibration, Familiarity | None]:
    """Fit the calibration of each subset, and familiarity, to the artifacts of `jobs` that run here."""
    clips, scores, familiar = data.calibrate, None, dict[str, float]()
    known = store.encode(clips, jobs) if clips is not None and clips.targets is not None else {}
    are_known = {m: np.ones(len(rows), bool) for m, rows in known.items()}
    if data.known:
        scores = _fit_familiarity(store, jobs, data)
        for row, modality in enumerate(sorted(data.known)):
            if len(known.get(modality, ())) < LEAST_KNOWN:
                continue
            found = known[modality] @ scores.weight[row] + scores.bias[row]
            share = max(UNFAMILIAR, 1 / (len(found) + 1))
            least = -quantile(-found, share, np.arange(len(found)))
            familiar[modality], are_known[modality] = least, found >= least
    if not known or clips is None or clips.targets is None:
        return Calibration(ALPHA, FLOOR, {}, familiar), scores
    logits, present = store.logits(known, clips)
    for modality, rows in are_known.items():  # a session leaves out the others
        present[modality][present[modality]] = rows
    codes = group_codes(data.groups or [None] * len(clips))
    fitted = calibrate(logits, present, clips.targets.numpy(), store.head.task, groups=codes)
    return Calibration(ALPHA, FLOOR, fitted, familiar), scores


def _fit_familiarity(store: ArtifactStore, jobs: Sequence[Job], data: FittedOn) -> Familiarity:
    def sides(modality: str) -> tuple[Floats, Floats]:
        """Return the embeddings of what is known, and of background."""
        parts = [data.known[modality], data.background[modality]]
        hard, truth = data.degraded.get(modality, (parts[0][:0], None))
        every = torch.cat([*parts, hard] if len(hard) else parts)
        rows = store.embed(modality, every, jobs)
        known, background, degraded = np.split(rows, np.cumsum([len(part) for part in parts]))
        if truth is None or not len(hard):
            return known, background
        wrong = degraded[~_are_right(store.head, degraded, truth.numpy())]
        return known, np.concatenate([background, wrong])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each modality is encoded in a process of its own
        found = dict(zip(data.known, pool.map(sides, data.known), strict=True))
    known, background = ({m: rows[side] for m, rows in found.items()} for side in (0, 1))
    return Familiarity(*familiarity.fit(known, background))


def _are_right(head: Head, embeddings: Floats, truth: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Tell whether the most probable class is a true one, bool [N], of embeddings [N, d]."""
    likeliest = head.logits(embeddings).argmax(axis=1)
    if head.task == "multi-label":
        return np.asarray(truth[np.arange(len(truth)), likeliest] > 0)
    return np.asarray(likeliest == truth)


def score_shipped(
    store: ArtifactStore, jobs: Sequence[Job], groups: Sequence[str | None] | None
) -> dict[str, SubsetScore]:
    """Score each subset of the artifacts that run here on the held-out examples, with intervals."""
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
    """Yield lines that say how many examples a bundle is calibrated on, and which sets lack some."""
    found = manifest.calibration.subsets
    if not found:
        yield "not calibrated, so every prediction is unsure: the data has no examples of the split calibrate"
        return
    names = list(map(subsets.name, subsets.measured(manifest.modalities)))
    few = [f"{name} ({found[name].examples})" for name in found if found[name].examples < LEAST]
    few += [f"{name} (0)" for name in names if name not in found]
    most = max(entry.examples for entry in found.values())
    yield f"calibrated on up to {most} examples of the split calibrate"
    if few:
        yield (
            f"not calibrated, for fewer than {LEAST} examples of calibrate have them: {', '.join(few)}; "
            "their confidence is the classifier's own"
        )
    needed = groups_needed(manifest.calibration.alpha)
    without = [f"{n} ({found[n].groups})" for n in names if n in found and found[n].groups < needed]
    if without:
        yield (
            f"always unsure, for fewer than {needed} groups (persons) of calibrate have them: "
            f"{', '.join(without)}; record takes of more, each with a group of its own"
        )
