"""The lattice of subsets: what each set of live modalities says, and its audited accuracy."""

from dataclasses import asdict
from typing import Any

import numpy as np
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.calibration import least_probability, of_subset
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.prediction import Opinion, Prediction, Verdict

from sensemble_apps.console.wording import answer

_SHOWN = 10  # candidates that are named


def verdict(said: Verdict) -> dict[str, Any]:
    """Return what a prediction or an opinion says, as JSON holds it; without a label it is unsure."""
    candidates = said.candidates
    return {
        "label": said.label,
        "best": said.best,
        "confidence": round(said.confidence, 4),
        "words": answer(said),
        "candidates": list(candidates[:_SHOWN]),
        "among": len(candidates),
    }


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return every subset of the bundle's modalities with its audited score, null where there is none."""
    found = []
    for subset in subsets.subsets(bundle.modalities):
        score = bundle.manifest.audited.get(subsets.name(subset))
        numbers = {"accuracy": None} if score is None else asdict(score)
        found.append({"subset": subsets.name(subset), "modalities": list(subset), **numbers})
    return found


def opinions(bundle: Bundle, prediction: Prediction) -> list[dict[str, Any]]:
    """Return what each subset of a prediction's live set would say alone; see `verdict`."""
    live, head = prediction.live, bundle.head
    pooled = pool_subsets(np.stack([prediction.embeddings[modality] for modality in live]))
    said = []
    for subset, row in zip(subsets.subsets(live), pooled, strict=True):
        fitted = of_subset(bundle.manifest.calibration, subset)
        probabilities = head.probabilities(row, fitted.temperature, fitted.power)
        least = least_probability(probabilities, fitted.threshold, head.task)
        opinion = Opinion(probabilities, least, prediction.labels)
        said.append({"subset": subsets.name(subset), **verdict(opinion)})
    return said
