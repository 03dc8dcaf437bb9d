"""Sets of modalities, written sorted and joined with `+` (`audio+video`), and their scores."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

from sensemble_sensors.errors import SpecError
from sensemble_sensors.spec import check_name

from sensemble_runtime.errors import SubsetError

Subset = tuple[str, ...]

Share = Annotated[float, (0, 1)]
Difference = Annotated[float, (-1, 1)]
Count = Annotated[int, (0, 2**53)]

WHOLE = 6  # modalities of which every subset is measured, 63; 2^n subsets of more would take too long

WIDE = 0.2  # the width of a score's interval above which there are too few examples to judge by it


class Interval:
    """A 95 % confidence interval, from `low` to `high`."""

    __slots__ = ()

    low: float
    high: float

    @property
    def too_few(self) -> bool:
        """True if the interval is wider than `WIDE`."""
        return self.high - self.low > WIDE


@dataclass(frozen=True, slots=True)
class SubsetScore(Interval):
    """The accuracy or mean average precision, in [0, 1], of a subset over its `n` examples."""

    accuracy: Share
    n: Count
    low: Share
    high: Share


@dataclass(frozen=True, slots=True)
class Estimate(Interval):
    """A number estimated from examples, with its interval."""

    value: Difference
    low: Difference
    high: Difference


CLEAN = "clean"  # the condition of a `ConditionScore` where no sensor is degraded


@dataclass(frozen=True, slots=True)
class ConditionScore:
    """The score of a subset of modalities while one of them is degraded, as a session answers."""

    modality: str  # the degraded one; empty for `CLEAN`
    condition: str
    severity: int  # 1 to 5; 0 for `CLEAN`
    effect: str  # in words, with its amount
    subset: str  # joined with `+`
    score: SubsetScore
    confidence: Share  # the mean over the examples with an answer; 0 without one
    unsure: Share  # of the examples without a label
    sure_right: Share | None  # of the others, those that are right
    plain: Share  # the score if unfamiliar windows were pooled too

    @property
    def key(self) -> tuple[str, str, int]:
        """The modality, the condition and the severity."""
        return self.modality, self.condition, self.severity


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


def nearest(live: Subset, known: Iterable[Subset]) -> Subset | None:
    """Return the subset of `known` that differs least from a live set, and of several the smallest."""
    return min(known, key=lambda one: (len({*one} ^ {*live}), len(one), one), default=None)


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
