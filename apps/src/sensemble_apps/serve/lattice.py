"""The lattice of subsets: what each set of live modalities says, and its audited accuracy."""

from typing import Any

import numpy as np
from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.prediction import Prediction


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return every subset of the bundle's modalities with its audited accuracy, null where there is none."""
    scores = next(iter(bundle.manifest.provenance.accuracy_quantized.values()), {})
    return [
        {
            "subset": subsets.name(subset),
            "modalities": list(subset),
            "accuracy": scores.get(subsets.name(subset)),
        }
        for subset in subsets.subsets(bundle.modalities)
    ]


def opinions(bundle: Bundle, prediction: Prediction) -> list[dict[str, Any]]:
    """Return what each subset of a prediction's live set would say alone."""
    live = prediction.live
    pooled = pool_subsets(np.stack([prediction.embeddings[modality] for modality in live]))
    probabilities = bundle.head.probabilities(pooled)
    best = probabilities.argmax(axis=-1)
    return [
        {"subset": subsets.name(subset), "label": prediction.labels[index], "confidence": _share(row[index])}
        for subset, row, index in zip(subsets.subsets(live), probabilities, best, strict=True)
    ]


def _share(probability: float) -> float:
    return round(float(probability), 4)
