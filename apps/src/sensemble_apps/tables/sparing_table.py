"""The audit of sparing as a table and as sentences: what sensors that sleep save, and what they cost."""

from collections.abc import Iterator

from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.scores import SparingScore, SpentPoint

from sensemble_apps.console.columns import table
from sensemble_apps.console.wording import percent, sensor_words, set_title


def sparing(score: SparingScore) -> Table:
    """Return the bundle's policy and its rivals, and then the curve."""
    places = [f"{set_title(place)} on" for place in score.order[1:]]
    columns = ["spent", *places, "right", "sure", "sure, wrong", "wakings/h"]
    drawn = table(("",), columns, f"Sensors that sleep, %: {score.hours:.2g} hours of virtual time")
    rows = [("the policy", score.chosen), ("all sensors", score.every)]
    if score.fixed is not None:
        rows.append((f"only {set_title(subsets.parse(score.fixed_set))}", score.fixed))
    rows.append(("woken by chance", score.random))
    for title, one in rows:
        drawn.add_row(title, *_cells(one), style="bold" if one is score.chosen else "")
    for one in score.curve:
        wake = "always" if one.wake > 1 else f"below {100 * one.wake:g} % confidence" if one.wake else "never"
        drawn.add_row(f"woken {wake}", *_cells(one), style="dim")
    return drawn


def sentences(score: SparingScore) -> Iterator[str]:
    """Yield what the policy does, and how it was measured."""
    one, every = score.chosen, score.every
    slept = (
        f"the {sensor_words(place)} asleep {100 * (1 - on):.0f} % of the time"
        for place, on in zip(score.order[1:], one.on[1:], strict=True)
    )
    yield (
        f"With {', '.join(slept)}: right {percent(one.right)} instead of {percent(every.right)} %, sure and "
        f"wrong {percent(one.sure_wrong)} instead of {percent(every.sure_wrong)} %, sure {percent(one.sure)} "
        f"instead of {percent(every.sure)} %."
    )
    how = "follow each other as they were recorded" if score.recordings else "are a scene of 4 s each"
    late = "" if one.delay is None else f" A woken sensor answers after {one.delay:.1f} s on average."
    yield f"The examples {how}.{late}"


def _cells(one: SpentPoint) -> list[str]:
    woken = f"{max(one.wakings):.0f}"
    return [*(percent(x) for x in (one.spent, *one.on[1:], one.right, one.sure, one.sure_wrong)), woken]
