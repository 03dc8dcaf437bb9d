"""The lattice of subsets: what each set of live modalities says, and its audited accuracy."""

from typing import Any

import numpy as np
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.calibration import least_probability, of_subset
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.prediction import Opinion, Prediction

from sensemble_apps.console.wording import answer


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return every subset of the bundle's modalities with its audited accuracy, null where there is none."""
    scores = {name: score.accuracy for name, score in bundle.manifest.audited.items()}
    return [
        {
            "subset": subsets.name(subset),
            "modalities": list(subset),
            "accuracy": scores.get(subsets.name(subset)),
        }
        for subset in subsets.subsets(bundle.modalities)
    ]


def opinions(bundle: Bundle, prediction: Prediction) -> list[dict[str, Any]]:
    """Return what each subset of a prediction's live set would say alone, unsure or not, in words."""
    live, head = prediction.live, bundle.head
    pooled = pool_subsets(np.stack([prediction.embeddings[modality] for modality in live]))
    said = []
    for subset, row in zip(subsets.subsets(live), pooled, strict=True):
        fitted = of_subset(bundle.manifest.calibration, subset)
        probabilities = head.probabilities(row, fitted.temperature)
        least = least_probability(probabilities, fitted.threshold, head.task)
        opinion = Opinion(probabilities, least, prediction.labels)
        confidence = round(opinion.confidence, 4)
        said.append({"subset": subsets.name(subset), "label": answer(opinion), "confidence": confidence})
    return said
