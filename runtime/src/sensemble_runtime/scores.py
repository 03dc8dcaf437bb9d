"""The scores of subsets of modalities, with their intervals."""

from dataclasses import dataclass
from typing import Annotated

from sensemble_sensors.strict_json import Count, Share

Difference = Annotated[float, (-1, 1)]

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
    plain: Share  # the score if every window counted in full

    @property
    def sure_wrong(self) -> float:
        """Of all examples, the share with a sure and wrong answer."""
        return 0.0 if self.sure_right is None else (1 - self.unsure) * (1 - self.sure_right)

    @property
    def key(self) -> tuple[str, str, int]:
        """The modality, the condition and the severity."""
        return self.modality, self.condition, self.severity


KNOWN = "known"  # the name of an `UnknownScore` of what was learned: the price


@dataclass(frozen=True, slots=True)
class UnknownScore:
    """The answers of a subset of modalities to windows of no class it has learned, or to `KNOWN` ones."""

    name: str
    effect: str  # in words
    subset: str  # joined with `+`
    n: Count
    sure: Share  # of the answers, those with a label
    sure_wrong: Share  # of the answers, those with a label of no class that shows
    unfamiliar: Share  # of the answers, those without a familiar window
    of_one: Share | None  # the same of the person or group with the most; None if all are small
    auroc: Share | None  # of the confidence, `KNOWN` against these; 0.5 is chance


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The share found, and how many false events there are an hour, at a threshold."""

    threshold: float
    found: Share | None
    false_per_hour: float


@dataclass(frozen=True, slots=True)
class SpentPoint:
    """The accuracy and the cost of a policy that lets sensors sleep."""

    wake: float  # the confidence below which the next sensor is woken
    spent: Share  # of what all sensors cost
    on: tuple[Share, ...]  # of the time, by place in the order
    right: Share
    sure: Share
    sure_wrong: Share  # of all answers
    wakings: tuple[float, ...]  # an hour, by place
    delay: float | None  # seconds from a waking to the first answer with the sensor; None without one


@dataclass(frozen=True, slots=True)
class SparingScore:
    """A policy that lets sensors sleep, beside its rivals, on examples in virtual time.

    Attributes:
        order, costs: the modalities of each place, and what they cost while they are on.
        chosen: the bundle's policy.
        every: all sensors on.
        fixed_set, fixed: the set of sensors, always on, that is most often right at no higher cost.
        random: the same policy woken by chance instead of by doubt, at the same cost.
        curve: from waking never to waking always.
        hours: of virtual time.
        recordings: whether the examples follow each other in recordings; else each was a scene.
    """

    order: tuple[tuple[str, ...], ...]
    costs: tuple[float, ...]
    chosen: SpentPoint
    every: SpentPoint
    fixed_set: str
    fixed: SpentPoint | None
    random: SpentPoint
    curve: tuple[SpentPoint, ...]
    hours: float
    recordings: bool


@dataclass(frozen=True, slots=True)
class StreamScore:
    """The events that a set of sensors told of streams, at the bundle's threshold.

    `mistaken` are those of the false ones that were told while another class was there to be told.

    `low` and `high` are the ends of the exact interval of the false events an hour (Garwood's). A delay
    counts from the end of a moment, or from the beginning of a state; None where nothing was found.
    """

    subset: str  # joined with `+`
    condition: str  # a stated degradation; empty for none
    hours: float
    spans: Count
    found: Share | None  # of the spans; None without one
    found_low: Share
    found_high: Share
    false: Count
    mistaken: Count
    false_per_hour: float
    low: float
    high: float
    delay: float | None  # seconds, the median
    delay_95: float | None  # that 95 % do not exceed
    f1: Share | None  # of segments by half of their union; None without a state
    edits: Share | None  # 1 - edit distance of the classes' order; None without a state
    curve: tuple[CurvePoint, ...]
