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
}


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


def in_order(methods: Iterable[str]) -> list[str]:
    """Put known methods in the order of the paper's Table 1, then the others as they come."""
    known = list(_METHODS)
    return sorted(methods, key=lambda method: known.index(method) if method in known else len(known))


def percent(score: float | None, digits: int = 1) -> str:
    """Write a fraction as per cent without the sign; a dash where there is none."""
    return "\N{EN DASH}" if score is None else f"{100 * score:.{digits}f}"
