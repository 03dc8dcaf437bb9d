"""Word sensors, sets, methods, answers and scores, which the other distributions only name."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from sensemble_runtime.prediction import UNLIKE, Answer, Prediction
from sensemble_runtime.scores import SubsetScore
from sensemble_runtime.subsets import Subset
from sensemble_sensors.spec import device_name

from sensemble_apps.console.kinds import as_words, words_of

_METHODS = {
    "linear_probe": "Linear probe",
    "finetune": "Finetune",
    "wiseft": "WiSE-FT",
    "masd": "MASD",
    "masd+wiseft": "MASD + WiSE-FT",
    "wiseft_softened": "WiSE-FT, softened probe",
    "masd+wiseft_softened": "MASD + WiSE-FT, softened probe",
    "late_fusion": "Late fusion",
    "labelled_subsets": "Labels on all subsets",
    "modality_dropout": "Modality dropout",
    "subset": "Subset",
}
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAMED = 3  # so many candidates beside the likeliest are counted, not named
_LISTED = 10  # candidates, at most
_OPEN = 0.75  # the share of the classes from which those that an answer leaves open say nothing
_PAPER_ORDER = ("V", "A", "T", "AV", "AT", "VT", "AVT")  # Tables 9 to 11


def sensor_title(modality: str, name: str = "") -> str:
    """Return a sensor's title, its kind and its name: `microphone desk`.

    The name alone where it says both; `session` without a modality.
    """
    sensor = words_of(modality).sensor if modality else "session"
    return name if name.startswith(sensor) else f"{sensor} {name}".rstrip()


def words(subset: Iterable[str]) -> str:
    """Write a set for a sentence: `audio, text and video`."""
    *rest, last = subset
    return f"{', '.join(rest)} and {last}" if rest else last


def classes_in_order(labels: Sequence[str]) -> list[str]:
    """Return classes in the order in which one counts, if all are digits, else as given."""
    return sorted(labels, key=_DIGITS.index) if all(label in _DIGITS for label in labels) else [*labels]


def class_words(labels: Sequence[str], most: int) -> str:
    """Name classes as one reads them, `most` at most."""
    order = [as_words(label) for label in classes_in_order(labels)]
    return words(order if len(order) <= most else [*order[:most], "others"])


def sensor_words(subset: Iterable[str]) -> str:
    """Write the sensors of a set, by device: `phone (accelerometer, gyroscope) and camera`."""
    parts = []
    for device, group in groupby(subset, device_name):
        sensors = [words_of(m).sensor for m in group]
        if device and len(sensors) > 1:
            of = as_words(device)
            sensors = [f"{of} ({', '.join(sensor.removeprefix(f'{of} ') for sensor in sensors)})"]
        parts += sensors
    return words(parts)


def set_title(subset: Iterable[str]) -> str:
    """Write a set for a row of a table, by device: `microphone + captions`, `phone acc, gyr + watch acc`."""
    parts = []
    for device, group in groupby(subset, device_name):
        names = [m.removeprefix(f"{device}.") for m in group]
        parts += [f"{device} {', '.join(names)}"] if device else [words_of(m).sensor for m in names]
    return " + ".join(parts)


def abbreviation(subset: Subset) -> str:
    """Write a set as the paper's tables do, `AVT` (Table 2); else as `set_title` does."""
    letters = [words_of(modality).letter for modality in subset]
    return "".join(sorted(letters, key=_PAPER_ORDER[-1].index)) if all(letters) else set_title(subset)


def method_title(method: str) -> str:
    """Return a method's title; an unknown name stays unchanged."""
    return _METHODS.get(method, method)


def sets_in_order(sets: Iterable[Subset]) -> list[Subset]:
    """Return sets in the order of the paper's Tables 9 to 11, V A T AV AT VT AVT, then others by size."""
    order = {title: place for place, title in enumerate(_PAPER_ORDER)}
    return sorted(sets, key=lambda s: (order.get(abbreviation(s), len(order)), len(s), s))


def in_order(methods: Iterable[str]) -> list[str]:
    """Return known methods in the order of the paper's Table 1, ours after them, then the others as given."""
    known = list(_METHODS)
    return sorted(methods, key=lambda method: known.index(method) if method in known else len(known))


def data_title(dataset: str | None, split: str | None) -> str:
    """Write the data of an audit, as its record names them; either part may be missing."""
    return f"{dataset or 'unnamed data'}, split {split or 'not recorded'}"


def answer(prediction: Answer) -> str:
    """Write an answer: its label, or `unsure: camera and microphone disagree: five or nine`."""
    return prediction.label if prediction.label is not None else f"unsure: {_why_unsure(prediction)}"


def is_none(prediction: Answer) -> bool:
    """Return whether an answer says none of the classes.

    No sensor is familiar, or one is not and the others leave nearly all classes open.
    """
    some = isinstance(prediction, Prediction) and bool(prediction.unfamiliar) and not prediction.sure
    return prediction.doubt == "unfamiliar" or (
        some and len(prediction.candidates) > _OPEN * len(prediction.labels)
    )


def _why_unsure(prediction: Answer) -> str:
    """Write why an answer is unsure: `five or nine`; empty if it is sure."""
    if prediction.doubt is None:
        return ""
    if is_none(prediction):
        return UNLIKE if prediction.best is None else f"{UNLIKE}, most like {prediction.best}"
    first, *others = prediction.candidates
    rest = others if len(others) < _NAMED else [f"{len(others)} others"]
    either = f"{', '.join([first, *rest[:-1]])} or {rest[-1]}" if rest else first
    if prediction.doubt == "several":
        return either
    opinions = prediction.opinions.items() if isinstance(prediction, Prediction) else ()
    bests = {words_of(m).sensor: one.best for m, one in opinions if one.best is not None}
    apart = sorted(bests) if len({*bests.values()}) > 1 else ["the sensors"]
    return f"{words(apart)} disagree: {either}"


def answer_as_json(prediction: Answer) -> dict[str, Any]:
    """Return an answer for `json.dumps`; `candidates` are the most probable ones, of `among` in all."""
    candidates = prediction.candidates
    return {
        "label": prediction.label,
        "best": prediction.best,
        "confidence": prediction.confidence,  # viewers round it
        "doubt": prediction.doubt,
        "none": is_none(prediction),
        "words": answer(prediction),
        "why": _why_unsure(prediction),
        "candidates": list(candidates[:_LISTED]),
        "among": len(candidates),
    }


def sureness(subset: Subset, unsure: float, sure_wrong: float, withheld: float) -> str:
    """Write the share of sure answers of a set, of those that are wrong, and the price in right ones."""
    return (
        f"With {sensor_words(subset)}, {percent(1 - unsure)} % of the answers are sure, "
        f"{percent(sure_wrong)} % are sure and wrong, and {percent(withheld)} % of the right ones are held "
        "back as unsure."
    )


def audited(score: SubsetScore) -> str:
    """Write the audited score of a live set: `scores 92% on 500 examples (89 to 94%)`."""
    return f"scores {score.accuracy:.0%} on {score.n} examples ({100 * score.low:.0f} to {score.high:.0%})"


def people(count: int) -> str:
    """Write a number of groups, each of which is most often a person: `8 people or groups`."""
    return "1 person or group" if count == 1 else f"{count} people or groups"


def percent(score: float | None, digits: int = 1) -> str:
    """Write a fraction in per cent, without the sign; None as a dash."""
    return "\N{EN DASH}" if score is None else f"{100 * score:.{digits}f}"
