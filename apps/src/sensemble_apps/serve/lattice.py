"""The lattice of subsets: what each set of live modalities says, and its audited accuracy."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.subsets import Subset

from sensemble_apps.console.wording import answer_as_json

_WHOLE = 6  # modalities of which every subset is drawn: 63


def drawn(modalities: Sequence[str]) -> list[Subset]:
    """Return the subsets that a page draws: of many modalities, each alone, all but each, and all."""
    if len(modalities) <= _WHOLE:
        return subsets.subsets(modalities)
    whole = tuple(sorted(modalities))
    return [*((m,) for m in whole), *(tuple(n for n in whole if n != m) for m in whole), whole]


def audited(bundle: Bundle) -> list[dict[str, Any]]:
    """Return the subsets of the bundle's modalities with their audited scores, null where there is none."""
    rows = []
    for subset in drawn(bundle.modalities):
        score = bundle.manifest.audited.get(subsets.name(subset))
        numbers = {"accuracy": None} if score is None else asdict(score)
        rows.append({"subset": subsets.name(subset), "modalities": list(subset), **numbers})
    return rows


def opinions(bundle: Bundle, prediction: Prediction) -> list[dict[str, Any]]:
    """Return the answer of each drawn subset of a prediction's live set."""
    embeddings = prediction.embeddings
    unfamiliar = prediction.unfamiliar if prediction.doubt == "unfamiliar" else ()
    said = []
    for subset in drawn(prediction.live):
        answer, _ = bundle.judge.answer({m: embeddings[m] for m in subset}, unfamiliar)
        said.append({"subset": subsets.name(subset), **answer_as_json(answer)})
    return said
