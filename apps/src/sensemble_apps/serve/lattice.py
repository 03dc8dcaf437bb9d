"""The lattice of subsets: what each set of live modalities says, and its audited accuracy."""

from dataclasses import asdict
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction

from sensemble_apps.console.wording import answer_as_json


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the subsets of the bundle's modalities with their audited scores, null where there is none."""
    rows = []
    for subset in subsets.measured(bundle.modalities):
        score = bundle.manifest.audited.get(subsets.name(subset))
        numbers = {"accuracy": None} if score is None else asdict(score)
        rows.append({"subset": subsets.name(subset), "modalities": list(subset), **numbers})
    return rows


def opinions(bundle: Bundle, prediction: Prediction) -> list[dict[str, Any]]:
    """Return the answer of each drawn subset of a prediction's live set."""
    embeddings = prediction.embeddings
    unfamiliar = prediction.unfamiliar if prediction.doubt == "unfamiliar" else ()
    said = []
    for subset in subsets.measured(prediction.live):
        answer, _ = bundle.judge.answer({m: embeddings[m] for m in subset}, unfamiliar)
        said.append({"subset": subsets.name(subset), **answer_as_json(answer)})
    return said
