"""The report: a page with the measurements of a run and of the bundle that it ships."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from sensemble_runtime import subsets
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.auditing.reliability import Bin, Outcomes, Reliability
from sensemble_runtime.auditing.robustness import Matrix
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.scores import CLEAN, ConditionScore, SparingScore, StreamScore, SubsetScore
from sensemble_runtime.subsets import Subset
from sensemble_sensors.kinds.conditions.condition import GAPS, SEVERITIES

from sensemble_apps.console import wording
from sensemble_apps.console.kinds import words_of
from sensemble_apps.console.wording import percent
from sensemble_apps.report import page_template, svg
from sensemble_apps.report.first_page import first_page, headline
from sensemble_apps.report.mistakes import mistakes
from sensemble_apps.report.run_contents import RunContents, amount
from sensemble_apps.report.svg import BARS, GRID, INK, SERIES
from sensemble_apps.report.verdict import verdict
from sensemble_apps.tables import stream_table, unknown_table
from sensemble_apps.tables.audit_table import additions, flaws
from sensemble_apps.tables.condition_table import Grid, grids, sensors, sentences
from sensemble_apps.tables.costs import EncoderCosts, encoder_costs
from sensemble_apps.tables.run_folder import AUDIT, COMPARISON, EVALUATED

_MISSING = "not measured"
_CHARTS = 7  # of reliability; of more sets, only some are drawn


@dataclass(frozen=True)
class ReliabilityView:
    """The reliability of one set's answers, for the template."""

    subset: Subset
    right: SubsetScore
    reliability: Reliability
    figure: str


def compares(matrices: Mapping[str, Matrix]) -> bool:
    """Return whether a run has several methods or training sets, which the experiment's page compares."""
    return len(matrices) > 1 or any(len(matrix) > 1 for matrix in matrices.values())


def render(contents: RunContents, made: datetime) -> str:
    """Return the page as HTML."""
    audit, outcomes = contents.audit, contents.audit.answered.sets
    views = [
        _reliability(subsets.parse(name), some, drawn=_drawn(name, outcomes))
        for name, some in outcomes.items()
    ]
    curves = _gaps(audit.conditions)
    heard = _curves(contents.streams)
    return page_template.render(
        "report.html.j2",
        contents=contents,
        metric=audit.metric,
        metric_title=audit.metric[0].upper() + audit.metric[1:] if audit.metric != "mAP" else "mAP",
        made=made,
        amount=amount(audit),
        headline=headline(contents),
        first_page=first_page(contents),
        verdict=verdict(audit.answered),
        mistakes=mistakes(audit.answered, contents.examples, contents.manifest.specs),
        modalities=sorted(contents.manifest.modalities),
        comparison=COMPARISON if compares(contents.matrices) else None,
        encoders=_encoder_tables(contents.manifest),
        reliability=views,
        promise=contents.manifest.calibration.promise,
        flaws=_flaws(views),
        heat_maps=[_heat_map(m, grid) for m, grid in grids(audit.conditions).items()],
        gap_legend=svg.legend(curves["alone"]),
        gap_curves=_gap_curves(curves),
        unknown=[
            (title, [(subsets.parse(one.subset), unknown_table.cells(one)) for one in some])
            for title, some in groupby(audit.unknown, unknown_table.title)
        ],
        unknown_columns=unknown_table.COLUMNS,
        unknown_caption=unknown_table.CAPTION,
        sparing_curve=_sparing_curve(audit.sparing) if audit.sparing else "",
        stream_columns=stream_table.columns(contents.streams),
        streams=[(stream_table.title(one), stream_table.cells(one)) for one in contents.streams],
        stream_amount=stream_table.amount(contents.streams) if contents.streams else "",
        stream_legend=svg.legend(heard),
        stream_curves=_stream_curves(heard) if heard else "",
        condition_sentences=list(sentences(audit.conditions, audit.metric)),
        sensor_title=wording.sensor_title,
        split=EVALUATED,
        record=AUDIT,
        estimates=audit.estimates,
        additions=list(additions(audit)),
    )


def _flaws(views: Sequence[ReliabilityView]) -> list[str]:
    """Return a sentence for each set whose confidence is off and that has a chart; others are counted."""
    found = {one.subset: list(flaws(one.subset, one.right, one.reliability)) for one in views}
    drawn = [sentence for one in views if one.figure for sentence in found[one.subset]]
    others = sum(bool(found[one.subset]) for one in views if not one.figure)
    return [*drawn, f"The confidence of {others} other sets is also off; see the table."] if others else drawn


def _drawn(name: str, outcomes: Mapping[str, Outcomes]) -> bool:
    """Return whether a set has a chart: of many sets, single sensors and the fullest have."""
    return len(outcomes) <= _CHARTS or "+" not in name or name == list(outcomes)[-1]


def _reliability(subset: Subset, outcomes: Outcomes, *, drawn: bool) -> ReliabilityView:
    name = subsets.name(subset)
    n, right = len(outcomes.right), int(outcomes.right.sum())
    key = f"reliability-{name.replace('+', '-')}"
    figure = _reliability_diagram(key, f"Reliability with {name}", outcomes.bins) if drawn else ""
    return ReliabilityView(subset, SubsetScore(right / n, n, *wilson(right, n)), outcomes.reliability, figure)


def _reliability_diagram(key: str, title: str, bins: Sequence[Bin]) -> str:
    """Draw the share of right answers against the stated confidence, a point for each bin.

    A larger point has more answers. A line spans its interval; calibrated answers lie on the dashed line.
    """
    most = max(one.n for one in bins)

    def paint(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=(0, (5, 4)), zorder=0.9)
        for one in bins:
            x = 100 * one.confidence
            axes.plot([x, x], [100 * one.low, 100 * one.high], color=BARS[0], linewidth=1.2)
        axes.scatter(
            [100 * one.confidence for one in bins],
            [100 * one.right for one in bins],
            s=[6 + 54 * one.n / most for one in bins],
            color=BARS[1],
            linewidths=0,
            zorder=3,
        )
        axes.set_xlim(0, 103)
        axes.set_ylim(-3, 103)
        axes.set_xticks([0, 50, 100])
        axes.set_yticks([0, 50, 100])
        axes.set_aspect("equal")
        axes.set_xlabel("says, %")
        axes.set_ylabel("is right, %")
        axes.grid(color=GRID)

    described = "; ".join(
        f"says {100 * one.confidence:.0f} %: right {100 * one.right:.0f} % of {one.n} "
        f"({100 * one.low:.0f} to {100 * one.high:.0f})"
        for one in bins
    )
    return svg.draw(key, title, described, paint, (2.1, 2.1))


def _encoder_tables(manifest: Manifest) -> list[tuple[str, list[str], list[tuple[str, list[str]]]]]:
    """Return each target with the titles of its encoders, and rows of what they cost."""
    costs = list(encoder_costs(manifest))
    return [
        (target, *_encoder_table([one for one in costs if one.target == target]))
        for target in dict.fromkeys(one.target for one in costs)
    ]


def _encoder_table(costs: Sequence[EncoderCosts]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    titles = [words_of(one.modality).sensor for one in costs]
    encoders = [one.artifact for one in costs]
    parities = [encoder.parity for encoder in encoders]
    rows: list[tuple[str, list[str]]] = [
        ("Quantization", [encoder.scheme for encoder in encoders]),
        ("Size", [_number(encoder.bytes / 1e6, ".2f", "MB") for encoder in encoders]),
        ("Size as float", [_number(x.float_bytes and x.float_bytes / 1e6, ".2f", "MB") for x in costs]),
        ("Share of the float size", [_number(one.share, ".2f") for one in costs]),
        ("Latency of a window", [_number(encoder.latency_ms, ".1f", "ms") for encoder in encoders]),
        ("Latency as float", [_number(one.float_latency_ms, ".1f", "ms") for one in costs]),
        ("Peak memory of its process", [_number(encoder.peak_mb, ".0f", "MB") for encoder in encoders]),
        ("Parity: mean cosine", [_number(x.cosine, ".4f") if x else "unproved" for x in parities]),
        ("Parity: mean error", [_number(x.mean_error, ".4f") if x else _MISSING for x in parities]),
        ("Parity: largest error", [_number(x.max_error, ".3f") if x else _MISSING for x in parities]),
        ("Parity: windows compared", [str(x.windows) if x else _MISSING for x in parities]),
    ]
    return titles, [(title, cells) for title, cells in rows if set(cells) != {_MISSING}]


def _number(value: float | None, form: str, unit: str = "") -> str:
    return _MISSING if value is None else f"{value:{form}} {unit}".strip()


def _heat_map(modality: str, grid: Grid) -> dict[str, Any]:
    """Return a sensor's scores under each condition, alone and with all sensors, for the template."""
    groups: dict[str, Subset] = {"alone": min(grid, key=len)}
    if len(grid) > 1:
        groups["with all sensors"] = max(grid, key=len)
    known = {one.severity for rows in grid.values() for row in rows for one in row.scores}
    severities = [severity for severity in SEVERITIES if severity in known]
    rows = []
    for place, row in enumerate(grid[groups["alone"]]):
        if row.condition != CLEAN:
            scores = [{one.severity: one for one in grid[subset][place].scores} for subset in groups.values()]
            cells = [_cell(by_severity.get(severity)) for by_severity in scores for severity in severities]
            rows.append((row.condition, cells))
    return {
        "sensor": sensors(modality),
        "columns": [(title, grid[subset][0].accuracy) for title, subset in groups.items()],
        "severities": severities,
        "conditions": rows,
    }


def _gaps(conditions: Sequence[ConditionScore]) -> dict[str, dict[str, dict[float, float]]]:
    """Return the curves of sensors with gaps: alone or with all, by sensor, the per cent lost -> right."""
    curves: dict[str, dict[str, dict[float, float]]] = {"alone": {}, "with all sensors": {}}
    for modality, grid in grids(conditions).items():
        for title, subset in zip(curves, (min(grid, key=len), max(grid, key=len)), strict=True):
            clean, *rows = grid[subset]
            scores = [one for row in rows if row.condition == "gaps" for one in row.scores]
            if len(scores) > 1:
                points = {GAPS[one.severity - 1]: 100 * one.score.accuracy for one in scores}
                curves[title][sensors(modality)] = {0.0: 100 * clean.accuracy} | points
    return curves


def _gap_curves(curves: Mapping[str, Mapping[str, Mapping[float, float]]]) -> list[tuple[str, str]]:
    """Return a title and a drawing of the scores by how much of the time is lost; none if not measured."""
    point, x, y = "{:g} % lost {:.0f} %", "lost in gaps, %", "right, %"
    return [
        (title, svg.lines(f"gaps-{n}", f"Right by the time that a sensor loses, {title}", some, point, x, y))
        for n, (title, some) in enumerate(curves.items())
        if some
    ]


def _sparing_curve(score: SparingScore) -> str:
    """Draw right answers by what is spent: the policy's curve and its choice, and the rivals."""
    rivals = {"chosen": score.chosen, "all sensors": score.every, "by chance": score.random}
    rivals |= {"one set": score.fixed} if score.fixed else {}

    def paint(axes: Axes) -> None:
        axes.plot(
            [100 * one.spent for one in score.curve],
            [100 * one.right for one in score.curve],
            color=SERIES[0],
            linewidth=1.8,
        )
        for place, (title, one) in enumerate(rivals.items()):
            axes.plot([100 * one.spent], [100 * one.right], linestyle="", label=title, **svg.look(place))
        axes.set_xlabel("spent, % of all sensors on")
        axes.set_ylabel("right, %")
        axes.grid(axis="y")
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)

    points = [*rivals.items(), *(("the curve", one) for one in score.curve)]
    described = "; ".join(
        f"{title}: right {percent(p.right)} % for {percent(p.spent)} %" for title, p in points
    )
    return svg.draw("sparing", "Right answers by what is spent", described, paint)


def _curves(scores: Sequence[StreamScore]) -> dict[str, StreamScore]:
    """Return the scores that are drawn, by title: of all sensors and of each alone, undegraded."""
    clean = {one.subset: one for one in scores if not one.condition and one.found is not None}
    every = max(clean, key=lambda name: name.count("+"), default="")
    drawn = dict.fromkeys((every, *(name for name in clean if "+" not in name)))
    return {stream_table.title(clean[name]): clean[name] for name in drawn if name}


def _stream_curves(scores: Mapping[str, StreamScore]) -> str:
    """Draw what is found against false events an hour, a line for each set; a marker is where it ships."""

    def paint(axes: Axes) -> None:
        for place, one in enumerate(scores.values()):
            look = svg.look(place)
            axes.plot(
                [point.false_per_hour for point in one.curve],
                [100 * (point.found or 0.0) for point in one.curve],
                color=look["color"],
                linewidth=1.8,
                zorder=2 - place / 100,
            )
            axes.plot([one.false_per_hour], [100 * (one.found or 0.0)], markersize=8, zorder=3, **look)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks([0, 1, 10, 100, 1000], ["0", "1", "10", "100", "1,000"])
        axes.set_xlim(-0.05, max(100, 1.5 * max(one.false_per_hour for one in scores.values())))
        axes.set_ylim(0, 103)
        axes.set_xlabel("false events an hour")
        axes.set_ylabel("found, %")
        axes.grid()

    described = "; ".join(
        f"{title}: found {percent(one.found)} % at {one.false_per_hour:.1f} an hour as shipped, of the curve "
        + ", ".join(f"{percent(point.found)} % at {point.false_per_hour:.1f}" for point in one.curve)
        for title, one in scores.items()
    )
    return svg.draw("streams", "Found against false events an hour", described, paint)


def _cell(one: ConditionScore | None) -> tuple[float, str] | None:
    """Return a score and, in words, its amount, its interval and the share unsure; None if not measured."""
    if one is None:
        return None
    low, high = percent(one.score.low, 0), percent(one.score.high, 0)
    value = (
        f"{percent(one.score.accuracy, 0)} % ({low} to {high}), unsure {percent(one.unsure, 0)} %, "
        f"sure answers right in {percent(one.sure_right, 0)} %, the classifier {percent(one.plain, 0)} %"
    )
    return one.score.accuracy, f"{one.effect}: {value}"
