"""The report's page: the measurements of a run and of the bundle that it ships."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sensemble_runtime import subsets
from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.robustness import Matrix, Summary
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.subsets import ConditionScore, Subset

from sensemble_apps.console import wording
from sensemble_apps.console.kinds import kind_of
from sensemble_apps.pages import page_template, panels, svg
from sensemble_apps.pages.conditions import heat_maps
from sensemble_apps.runs.condition_table import sentences
from sensemble_apps.runs.run_folder import AUDIT, EVALUATED

_MISSING = "not measured"


@dataclass(frozen=True)
class Evidence:
    """The contents of the report; parts that a run lacks are empty, and the page says so.

    Attributes:
        title: the dataset's name.
        metric: `accuracy` or `mAP`.
        matrices: method -> matrix, in fractions.
        manifest: the shipped bundle's.
        audited: the bundle's scores on that dataset by subset: (score, number of examples).
        other_audits: other data that the bundle was audited on; the page names it without scores.
        facts: provenance, in the order to show.
        conditions: the scores of that audit while a sensor is degraded; empty where it had none.
        ceiling: the score of the worst modality's specialist, trained on all labels; None without one.
    """

    title: str
    metric: str
    matrices: Mapping[str, Matrix]
    manifest: Manifest
    audited: Mapping[str, tuple[float, int]]
    other_audits: Sequence[str]
    facts: Sequence[tuple[str, str]]
    conditions: Sequence[ConditionScore] = ()
    ceiling: float | None = None


@dataclass(frozen=True)
class Loss:
    """The effect of one lost sensor: the score of all sensors, and of all but this one."""

    event: str
    before: float
    after: float

    @property
    def sentence(self) -> str:
        """The effect as a verb phrase: `falls from 90.0 % to 80.0 %`."""
        before, after = (
            f"{wording.percent(score)}\N{NO-BREAK SPACE}%" for score in (self.before, self.after)
        )
        if before == after:
            return f"stays at {after}"
        return f"{'falls' if self.after < self.before else 'rises'} from {before} to {after}"


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
class Headline:
    """The shipped model: its scores, and the effect of losing each sensor.

    Attributes:
        method: the method's title.
        trained_on: its M_T.
        floats: the float model's scores.
        quantized: the bundle's scores.
        scheme: the quantization scheme of the scored encoders, if all have one, else `quantized`.
        encoders: the same in words, with the executor, as far as it is known.
        losses: the effect of losing each sensor, the worst first.
        baseline: the effect on finetuning, with the same M_T, of losing the first sensor of `losses`.
    """

    method: str
    trained_on: Subset
    floats: Mapping[Subset, float]
    quantized: Mapping[Subset, float]
    scheme: str
    encoders: str
    losses: tuple[Loss, ...]
    baseline: Loss | None

    @property
    def scores(self) -> Mapping[Subset, float]:
        """The bundle's scores or, if export measured none, the float model's."""
        return self.quantized or self.floats


def render(evidence: Evidence, made: datetime) -> str:
    """Return the page as HTML that loads nothing."""
    methods = [_method(m, evidence.matrices[m]) for m in wording.in_order(evidence.matrices)]
    trained = _ordered({train for method in methods for train in method.rows})
    encoders, encoder_rows = _encoder_table(evidence.manifest)
    modalities = sorted({m for method in methods for row in method.rows.values() for e in row for m in e})
    return page_template.template("report.html.j2").render(
        evidence=evidence,
        metric=evidence.metric,
        metric_title=evidence.metric[0].upper() + evidence.metric[1:] if evidence.metric != "mAP" else "mAP",
        made=made,
        headline=headline(evidence),
        methods=methods,
        trained=trained,
        modalities=modalities,
        top=max(score for method in methods for row in method.rows.values() for score in row.values()),
        all_sets=subsets.subsets(modalities),
        encoders=encoders,
        encoder_rows=encoder_rows,
        glyphs=svg.GLYPHS,
        heat_maps=heat_maps(evidence.conditions),
        condition_sentences=list(sentences(evidence.conditions, evidence.metric)),
        overlap_figures=_overlap_figures(methods, evidence.matrices),
        robustness_figure=_robustness_figure(methods),
        sensor_title=wording.sensor_title,
        split=EVALUATED,
        record=AUDIT,
        subset_name=subsets.name,
    )


def _ordered(sets: Iterable[Subset]) -> list[Subset]:
    return sorted(sets, key=lambda subset: (len(subset), subset))


def _method(name: str, matrix: Matrix) -> MethodView:
    rows = {
        train: {subsets.parse(e): score for e, score in matrix[subsets.name(train)].items()}
        for train in _ordered(subsets.parse(train) for train in matrix)
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


def headline(evidence: Evidence) -> Headline:
    """Return the scores of the shipped model, and its losses and finetuning's."""
    made = evidence.manifest.provenance
    method, trained_on = made.method, subsets.name(made.train_modalities)
    floats, quantized = made.accuracy, next(iter(made.accuracy_quantized.values()), {})
    if evidence.audited:
        # The audit and the matrix cover the whole evaluation set, export only a part of it.
        quantized = {name: score for name, (score, _) in evidence.audited.items()}
        floats = dict(evidence.matrices.get(method, {}).get(trained_on, floats))
    scheme, encoders = _quantization(evidence.manifest, audited=bool(evidence.audited))
    losses = _losses(quantized or floats)
    finetuned = evidence.matrices.get("finetune", {}).get(trained_on, {}) if method != "finetune" else {}
    return Headline(
        method=wording.method_title(method),
        trained_on=subsets.parse(trained_on),
        floats=_by_set(floats),
        quantized=_by_set(quantized),
        scheme=scheme,
        encoders=encoders,
        losses=losses,
        baseline=next((loss for loss in _losses(finetuned) if loss.event == losses[0].event), None),
    )


def _quantization(manifest: Manifest, *, audited: bool) -> tuple[str, str]:
    """Return the scheme of the scored encoders, or `quantized`, and the same in words.

    Export scores its first target; an audit does not record which of several targets it ran.
    """
    targets = list(dict.fromkeys(t for entry in manifest.modalities.values() for t in entry.artifacts))
    if audited and len(targets) > 1:
        return "quantized", "the bundle\N{RIGHT SINGLE QUOTATION MARK}s encoders"
    target = next(iter(manifest.provenance.accuracy_quantized), targets[0])
    schemes = {m: e.artifacts[target].scheme for m, e in manifest.modalities.items() if target in e.artifacts}
    one = set(schemes.values())
    said = one.pop() if len(one) == 1 else ", ".join(f"{m} {scheme}" for m, scheme in schemes.items())
    scheme = "quantized" if " " in said else said
    return scheme, f"the bundle\N{RIGHT SINGLE QUOTATION MARK}s encoders for {target} ({said})"


def _by_set(scores: Mapping[str, float]) -> dict[Subset, float]:
    parsed = {subsets.parse(name): score for name, score in scores.items()}
    return {subset: parsed[subset] for subset in _ordered(parsed)}


def _losses(scores: Mapping[str, float]) -> tuple[Loss, ...]:
    """Return the effect of losing each single sensor on a model's scores, the worst first."""
    by_set = _by_set(scores)
    every = max(by_set, key=len, default=())
    losses = (
        Loss(kind_of(lost).loss, by_set[every], by_set[rest])
        for lost in every
        if (rest := tuple(m for m in every if m != lost)) in by_set
    )
    return tuple(sorted(losses, key=lambda loss: loss.after - loss.before))


def _encoder_table(manifest: Manifest) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the column titles, one per encoder and executor, and the rows of measurements."""
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
    return titles, [
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


def _number(value: float | None, form: str, unit: str = "") -> str:
    return _MISSING if value is None else f"{value:{form}} {unit}".strip()


def _overlap_figures(methods: Sequence[MethodView], matrices: Mapping[str, Matrix]) -> list[str]:
    """Return Figure 5's two panels: P and R of each method by the number of shared modalities."""
    strata = [{k: robustness.overlap(matrices[method.name], k) for k in (0, 1, 2)} for method in methods]
    p = [{k: s.p for k, s in by_k.items() if s.p is not None} for by_k in strata]
    r = [{k: s.r for k, s in by_k.items() if s.r is not None} for by_k in strata]
    return [
        svg.inline(
            panels.overlap_panel(
                key, title, [panels.Line(method.title, i, scores[i]) for i, method in enumerate(methods)]
            )
        )
        for key, title, scores in (("overlap-p", "Performance P", p), ("overlap-r", "Robustness R", r))
    ]


def _robustness_figure(methods: Sequence[MethodView]) -> str:
    """Return Figure 6: a point per M_T and method."""
    groups = [
        panels.Points(
            method.title,
            i,
            [panels.Point(wording.abbreviation(t), method.p[t], method.r[t]) for t in method.rows],
        )
        for i, method in enumerate(methods)
    ]
    return svg.inline(panels.robustness_panel("robustness", groups))
