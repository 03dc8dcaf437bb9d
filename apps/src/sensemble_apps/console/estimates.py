"""Write scores with their intervals, rounded as the interval deserves."""

from sensemble_runtime.scores import Estimate, Interval, SubsetScore

from sensemble_apps.console.kinds import words_of

TOO_FEW = "too few examples"
INTERVAL = "95 % interval"
"""The title of the column of intervals."""


def percent_within(value: float, interval: Interval) -> str:
    """Write a fraction in per cent, without the sign.

    It has whole points; tenths if the interval is narrower than two points, hundredths if narrower than 0.2.
    What is nearly all is not written as all: 99.6, not 100.
    """
    width = interval.high - interval.low
    digits = 0 if width >= 0.02 else 1 if width >= 0.002 else 2
    text = f"{100 * value:.{digits}f}"
    if text == "100" and value < 1:
        text = f"{min(100 * value, 99.9):.1f}"
    return text.removeprefix("-") if float(text) == 0 else text


def ends(interval: Interval) -> str:
    """Write an interval in per cent, without the sign: `61 to 71`."""
    low, high = (percent_within(end, interval) for end in (interval.low, interval.high))
    return low if low == high else f"{low} to {high}"


def number(value: float, interval: Interval, unit: str = " %") -> str:
    """Write a number with its interval, `66 % (61 to 71)`; of too few examples, the interval alone."""
    if interval.too_few:
        return f"{ends(interval)}{unit}"
    return f"{percent_within(value, interval)}{unit} ({ends(interval)})"


def in_words(value: float, interval: Interval) -> str:
    """Write a score for a sentence: `66 % (61 to 71)`, or `31 to 86 % (too few examples)`."""
    return number(value, interval) + (f" ({TOO_FEW})" if interval.too_few else "")


def examples(n: int, interval: Interval) -> str:
    """Write the number of examples: `400`, or `too few examples: 13`."""
    return f"{TOO_FEW}: {n}" if interval.too_few else str(n)


def change(metric: str, before: float, drop: Estimate) -> str:
    """Write the change of a score: `accuracy falls from 90 % to 80 %, by 7 to 13 points`."""
    low, high = (percent_within(abs(end), drop) for end in (drop.low, drop.high))
    least, most = (low, high) if drop.low > 0 else (high, low)
    if drop.low <= 0 <= drop.high:
        open_end = f": {TOO_FEW} to say more" if drop.too_few else ""
        ways = [f"{way} by up to {end} points" for way, end in (("fall", high), ("rise", low)) if float(end)]
        return f"{metric} {'may ' if ways else 'does not change'}{' or '.join(ways)}{open_end}"
    verb = "falls" if drop.low > 0 else "rises"
    if drop.too_few:
        return f"{metric} {verb} by {least} to {most} points: {TOO_FEW} to say more"
    then, now = (percent_within(score, drop) for score in (before, before - drop.value))
    return f"{metric} {verb} from {then} % to {now} %, by {least} to {most} points"


def at_chance(modality: str, score: SubsetScore, chance: float) -> str:
    """Write that a sensor alone may be at chance, or that too few examples tell."""
    if score.too_few:
        return (
            "Too few independent examples (people, recordings) to tell whether the "
            f"{words_of(modality).sensor} alone ({modality}) is better than chance: it is right in "
            f"{score.accuracy * score.n:.0f} of {score.n}."
        )
    return (
        f"The {words_of(modality).sensor} alone ({modality}) may be at chance: it scores "
        f"{in_words(score.accuracy, score)}, and always giving the commonest label "
        f"{percent_within(chance, score)} %."
    )
