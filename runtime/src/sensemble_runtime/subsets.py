"""Sets of modalities, written sorted and joined with `+` (`audio+video`)."""

from collections.abc import Iterable
from itertools import combinations

from sensemble_sensors.errors import SpecError
from sensemble_sensors.spec import check_name

from sensemble_runtime.errors import SubsetError

Subset = tuple[str, ...]

WHOLE = 6  # modalities of which every subset is measured, 63; 2^n subsets of more would take too long


def subsets(modalities: Iterable[str]) -> list[Subset]:
    """Return the 2^n - 1 non-empty subsets of `modalities`, by size, then alphabetical."""
    names = sorted(set(modalities))
    return [subset for size in range(1, len(names) + 1) for subset in combinations(names, size)]


def measured(modalities: Iterable[str]) -> list[Subset]:
    """Return the measured subsets: all of up to `WHOLE` modalities; of more, each, all but each, and all."""
    names = sorted(set(modalities))
    return [tuple(names[place] for place in places_of) for places_of in places(len(names))]


def places(n: int) -> list[tuple[int, ...]]:
    """Return the subsets of n modalities that are measured, as places among them."""
    sizes = range(1, n + 1) if n <= WHOLE else (1, n - 1, n)
    return [subset for size in sizes for subset in combinations(range(n), size)]


def name(subset: Iterable[str]) -> str:
    """Write a set of modalities: `name(["video", "audio"]) == "audio+video"`."""
    return "+".join(sorted(subset))


def parse(text: str) -> Subset:
    """Read a set of modalities, in any order: `parse("video+audio") == ("audio", "video")`."""
    names = text.split("+")
    try:
        for modality in names:
            check_name(modality)
    except SpecError as error:
        raise SubsetError(f"not a set of modalities: {text!r}: {error}") from error
    if len(set(names)) != len(names):
        raise SubsetError(f"not a set of modalities: {text!r}; join distinct names with +, as audio+video")
    return tuple(sorted(names))
