"""The page of a fleet: its expected accuracy as deployed, and what costs most of it."""

from datetime import datetime

from matplotlib.axes import Axes
from sensemble_runtime import subsets

from sensemble_apps.console.estimates import ends, number, percent_within
from sensemble_apps.console.wording import sensor_words
from sensemble_apps.report import page_template, svg
from sensemble_apps.tables import fleet_table
from sensemble_apps.tables.fleet import Deployed, Fleet

_SHOWN = 10  # devices, faults and sets, at most


def render(found: Fleet, made: datetime) -> str:
    """Return the page as HTML."""
    bundles = {one.bundle: [w for w in found.weeks if w.bundle == one.bundle] for one in found.bundles}
    return page_template.render(
        "fleet.html.j2",
        found=found,
        made=made,
        headline=_headline(found),
        table=fleet_table,
        shown=_SHOWN,
        several=len(found.bundles) > 1,
        charts=[
            (bundle, _weeks(f"weeks-{place}", weeks))
            for place, (bundle, weeks) in enumerate(bundles.items())
            if sum(one.accuracy is not None for one in weeks) > 1
        ],
        unaudited=[
            (bundle, sensor_words(subsets.parse(live)), hours)
            for bundle, some in found.unaudited.items()
            for live, hours in [*some.items()][:_SHOWN]
        ],
        asleep=[
            (bundle, sensor_words([modality]), hours)
            for bundle, some in found.asleep.items()
            for modality, hours in some.items()
        ],
    )


def _headline(found: Fleet) -> str:
    """Write the expected accuracy of the bundle that ran longest."""
    most = max(found.bundles, key=lambda one: one.hours, default=None)
    if most is None or most.accuracy is None:
        return "Nothing that was live on this fleet was audited"
    share = number(most.accuracy.value, most.accuracy, "\N{NO-BREAK SPACE}%")
    return f"Expected to be right in {share} as deployed"


def _weeks(key: str, weeks: list[Deployed]) -> str:
    """Draw the expected accuracy by week, each with its interval."""
    known = [(one.week, one.accuracy) for one in weeks if one.accuracy is not None]
    places, values = range(len(known)), [100 * one.value for _, one in known]

    def paint(axes: Axes) -> None:
        below = [100 * (one.value - one.low) for _, one in known]
        above = [100 * (one.high - one.value) for _, one in known]
        axes.errorbar(places, values, [below, above], color=svg.SERIES[0], marker="o", linewidth=1.5)
        axes.set_ylabel("expected, %")
        axes.grid(axis="y")
        step = max(1, len(known) // 4)
        axes.set_xticks(places[::step], [week[5:] for week, _ in known[::step]])
        axes.set_xlabel("week from")

    text = ", ".join(f"{week} {percent_within(one.value, one)} % ({ends(one)})" for week, one in known)
    return svg.draw(key, "Expected accuracy by week", text, paint)
