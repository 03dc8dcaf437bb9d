"""The report's page: the measurements of a run and of the bundle that it ships."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.auditing.reliability import Outcomes, Reliability
from sensemble_runtime.auditing.robustness import Matrix, Summary
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.subsets import CLEAN, ConditionScore, Subset, SubsetScore
from sensemble_sensors.kinds.conditions.condition import SEVERITIES

from sensemble_apps.console import wording
from sensemble_apps.console.wording import percent
from sensemble_apps.pages import page_template, panels, svg
from sensemble_apps.pages.front import front
from sensemble_apps.pages.headline import Evidence, headline, in_order
from sensemble_apps.runs.audit_table import doubts
from sensemble_apps.runs.condition_table import Grid, grids, sensors, sentences
from sensemble_apps.runs.run_folder import AUDIT, EVALUATED

_MISSING = "not measured"


@dataclass(frozen=True)
class MethodView:
    """A method's numbers as the template shows them."""

    name: str
    title: str
    summary: Summary
    rows: Mapping[Subset, Mapping[Subset, float]]
    p: Mapping[Subset, float]
    r: Mapping[Subset, float]
    best: Mapping[Subset, Subset]


@dataclass(frozen=True)
class ReliabilityView:
    """The reliability of the answers of a set of sensors, as the template shows it."""

    subset: Subset
    right: SubsetScore
    reliability: Reliability
    figure: str


def render(evidence: Evidence, made: datetime) -> str:
    """Return the page as HTML that loads nothing."""
    methods = [_method(m, evidence.matrices[m]) for m in wording.in_order(evidence.matrices)]
    trained = in_order({train for method in methods for train in method.rows})
    encoders, encoder_rows = _encoder_table(evidence.manifest)
    views = [
        _reliability(subsets.parse(name), outcomes) for name, outcomes in evidence.audits.outcomes.items()
    ]
    promised = 1 - evidence.manifest.calibration.alpha
    modalities = sorted({m for method in methods for row in method.rows.values() for e in row for m in e})
    return page_template.template("report.html.j2").render(
        evidence=evidence,
        metric=evidence.metric,
        metric_title=evidence.metric[0].upper() + evidence.metric[1:] if evidence.metric != "mAP" else "mAP",
        made=made,
        headline=headline(evidence),
        front=front(evidence),
        methods=methods,
        trained=trained,
        modalities=modalities,
        top=max(score for method in methods for row in method.rows.values() for score in row.values()),
        all_sets=subsets.measured(modalities),
        encoders=encoders,
        encoder_rows=encoder_rows,
        glyphs=svg.GLYPHS,
        reliability=views,
        promised=promised if evidence.manifest.calibration.subsets else None,
        doubts=[
            sentence for one in views for sentence in doubts(one.subset, one.right, one.reliability, promised)
        ],
        heat_maps=[_heat_map(m, grid) for m, grid in grids(evidence.conditions).items()],
        condition_sentences=list(sentences(evidence.conditions, evidence.metric)),
        overlap_figures=_overlap_figures(methods, evidence.matrices),
        robustness_figure=_robustness_figure(methods),
        sensor_title=wording.sensor_title,
        split=EVALUATED,
        record=AUDIT,
        whole=evidence.audits.estimates,
        widest=max(evidence.audits.scores.values(), key=lambda score: score.high - score.low, default=None),
    )


def _method(name: str, matrix: Matrix) -> MethodView:
    rows = {
        train: {subsets.parse(e): score for e, score in matrix[subsets.name(train)].items()}
        for train in in_order(subsets.parse(train) for train in matrix)
    }
    points = {subsets.parse(train): point for train, point in robustness.per_train(matrix).items()}
    return MethodView(
        name=name,
        title=wording.method_title(name),
        summary=robustness.summary(matrix),
        rows=rows,
        p={train: p for train, (p, _) in points.items()},
        r={train: r for train, (_, r) in points.items()},
        best={subsets.parse(t): subsets.parse(e) for t, e in robustness.best_evaluation(matrix).items()},
    )


def _reliability(subset: Subset, outcomes: Outcomes) -> ReliabilityView:
    name = subsets.name(subset)
    n, right = len(outcomes.right), int(outcomes.right.sum())
    panel = panels.reliability_panel(
        f"reliability-{name.replace('+', '-')}", f"Reliability with {name}", outcomes.bins
    )
    return ReliabilityView(
        subset, SubsetScore(right / n, n, *wilson(right, n)), outcomes.reliability, svg.inline(panel)
    )


def _encoder_table(manifest: Manifest) -> tuple[list[str], list[tuple[str, list[str]]]]:
    encoders = [
        (modality, executor, artifact)
        for modality, entry in manifest.modalities.items()
        for executor, artifact in entry.artifacts.items()
    ]
    several = len(encoders) > len(manifest.modalities)
    titles = [f"{modality} ({executor})" if several else modality for modality, executor, _ in encoders]
    made = manifest.provenance
    sizes = [(a.bytes, made.float_bytes.get(m)) for m, _, a in encoders]
    latencies = [(a.latency_ms, made.float_latency_ms.get(m)) for m, _, a in encoders]
    parities = [a.parity for _, _, a in encoders]
    rows: list[tuple[str, list[str]]] = [
        ("Quantization", [a.scheme for _, _, a in encoders]),
        ("Size", [_number(size / 1e6, ".2f", "MB") for size, _ in sizes]),
        ("Size as float", [_number(size and size / 1e6, ".2f", "MB") for _, size in sizes]),
        ("Share of the float size", [_number(whole and size / whole, ".2f") for size, whole in sizes]),
        ("Latency of a window", [_number(ms, ".1f", "ms") for ms, _ in latencies]),
        ("Latency as float", [_number(ms, ".1f", "ms") for _, ms in latencies]),
        ("Peak memory of its process", [_number(a.peak_mb, ".0f", "MB") for _, _, a in encoders]),
        ("Parity: mean cosine", [_number(x.cosine, ".4f") if x else "unproved" for x in parities]),
        ("Parity: mean error", [_number(x.mean_error, ".4f") if x else _MISSING for x in parities]),
        ("Parity: largest error", [_number(x.max_error, ".3f") if x else _MISSING for x in parities]),
        ("Parity: windows compared", [str(x.windows) if x else _MISSING for x in parities]),
    ]
    return titles, [(title, cells) for title, cells in rows if set(cells) != {_MISSING}]


def _number(value: float | None, form: str, unit: str = "") -> str:
    return _MISSING if value is None else f"{value:{form}} {unit}".strip()


def _overlap_figures(methods: Sequence[MethodView], matrices: Mapping[str, Matrix]) -> list[str]:
    strata = [{k: robustness.overlap(matrices[method.name], k) for k in (0, 1, 2)} for method in methods]
    p = [{k: s.p for k, s in by_k.items() if s.p is not None} for by_k in strata]
    r = [{k: s.r for k, s in by_k.items() if s.r is not None} for by_k in strata]
    if max(map(len, p), default=0) < 2:
        return []  # one point a method draws no line
    return [
        svg.inline(
            panels.overlap_panel(
                key, title, [panels.Series(method.title, i, scores[i]) for i, method in enumerate(methods)]
            )
        )
        for key, title, scores in (("overlap-p", "Performance P", p), ("overlap-r", "Robustness R", r))
    ]


def _robustness_figure(methods: Sequence[MethodView]) -> str:
    groups = [
        panels.Points(
            method.title,
            i,
            {wording.abbreviation(t): (method.p[t], method.r[t]) for t in method.rows},
        )
        for i, method in enumerate(methods)
    ]
    return svg.inline(panels.robustness_panel("robustness", groups))


def _heat_map(modality: str, grid: Grid) -> dict[str, Any]:
    """Return the scores of a sensor under each condition, alone and with all sensors, for the template."""
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


def _cell(one: ConditionScore | None) -> tuple[float, str] | None:
    """Return a score and, in words, its amount, its interval and the share unsure; None if not measured."""
    if one is None:
        return None
    low, high = percent(one.score.low, 0), percent(one.score.high, 0)
    value = (
        f"{percent(one.score.accuracy, 0)} % ({low} to {high}), unsure {percent(one.unsure, 0)} %, "
        f"sure answers right in {percent(one.sure_right, 0)} %, all pooled {percent(one.plain, 0)} %"
    )
    return one.score.accuracy, f"{one.effect}: {value}"
