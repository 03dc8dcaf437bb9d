"""How the command writes what the other distributions only name: sensors, sets, methods, scores."""

from collections.abc import Iterable

from sensemble_runtime.subsets import Subset

SENSORS = {"audio": "microphone", "text": "captions", "video": "camera"}
LOSSES = {"audio": "the microphone dies", "text": "the captions stop", "video": "the camera dies"}
_ABBREVIATIONS = {"audio": "A", "video": "V", "text": "T"}
_METHODS = {
    "linear_probe": "Linear probe",
    "finetune": "Finetune",
    "wiseft": "WiSE-FT",
    "masd": "MASD",
    "masd+wiseft": "MASD + WiSE-FT",
    "finetune_everything": "Finetune on all labels",
}
_PRETRAININGS = {"contrastive": "Contrastive", "mae": "MAE"}
_PAPER_ORDER = ("V", "A", "T", "AV", "AT", "VT", "AVT")  # Tables 9 to 11


def sensor_title(modality: str, name: str = "") -> str:
    """Return what a sensor is called: its name, if need be with what it is before it: `microphone desk`.

    What is of no modality is of the session.
    """
    what = SENSORS.get(modality, modality) or "session"
    return name if name.startswith(what) else f"{what} {name}".rstrip()


def words(subset: Iterable[str]) -> str:
    """Write a set for a sentence: `audio, text and video`."""
    *rest, last = subset
    return f"{', '.join(rest)} and {last}" if rest else last


def abbreviation(subset: Subset) -> str:
    """Write a set as the paper's tables do: `AVT` (Table 2)."""
    return "".join(short for modality, short in _ABBREVIATIONS.items() if modality in subset)


def method_title(method: str) -> str:
    """Return a method's name as the paper writes it; a name of someone else's stays as it is."""
    return _METHODS.get(method, method)


def pretraining_title(pretraining: str) -> str:
    """Return a pretraining's name as the paper writes it; a name of someone else's stays as it is."""
    return _PRETRAININGS.get(pretraining, pretraining)


def pretrainings_in_order(pretrainings: Iterable[str]) -> list[str]:
    """Put contrastive pretraining before MAE, as the paper's Table 1 does, then the others as they come."""
    known = list(_PRETRAININGS)
    return sorted(pretrainings, key=lambda name: known.index(name) if name in known else len(known))


def sets_in_order(sets: Iterable[Subset]) -> list[Subset]:
    """Put sets in the order of the paper's Tables 9 to 11: V A T AV AT VT AVT."""
    return sorted(sets, key=lambda subset: _PAPER_ORDER.index(abbreviation(subset)))


def in_order(methods: Iterable[str]) -> list[str]:
    """Put known methods in the order of the paper's Table 1, then the others as they come."""
    known = list(_METHODS)
    return sorted(methods, key=lambda method: known.index(method) if method in known else len(known))


def data_title(dataset: str | None, split: str | None) -> str:
    """Write what a record says that an audit was on; in one of an older version, no split is recorded."""
    return f"{dataset or 'unnamed data'}, split {split or 'not recorded'}"


def percent(score: float | None, digits: int = 1) -> str:
    """Write a fraction as per cent without the sign; a dash where there is none."""
    return "\N{EN DASH}" if score is None else f"{100 * score:.{digits}f}"
