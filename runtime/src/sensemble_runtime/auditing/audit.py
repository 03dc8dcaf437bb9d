"""The audit: the score of every subset of a bundle's modalities on labelled examples."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.content import contents
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_sensors.sensor import Media
from sensemble_sensors.spec import devices

from sensemble_runtime import subsets
from sensemble_runtime.auditing.answers import SimulatedSessions, plain
from sensemble_runtime.auditing.conditions import JointCondition, Labelled, clean_scores, key_of, scores_under
from sensemble_runtime.auditing.encoding import encode
from sensemble_runtime.auditing.intervals import group_codes, independent
from sensemble_runtime.auditing.measures import Measures, measure
from sensemble_runtime.auditing.metrics import METRICS
from sensemble_runtime.auditing.reliability import Answered, Reliability, outcomes
from sensemble_runtime.auditing.sparing_audit import audit_sparing
from sensemble_runtime.auditing.unknown import steps, unknown_scores
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.answer import DOUBTS, Answers
from sensemble_runtime.progress import Progress, no_progress
from sensemble_runtime.record.reader import read_conditions, read_runs, same_answers
from sensemble_runtime.record.writer import RecordedAnswer, RecordWriter
from sensemble_runtime.scores import ConditionScore, SparingScore, UnknownScore


@dataclass(frozen=True, slots=True, repr=False)
class AuditResult(Measures):
    """The scores of each subset of a bundle's modalities, with their intervals.

    Attributes:
        metric: `accuracy` or `mAP`.
        examples, groups: their numbers; groups are those that are `independent`.
        bundle: the SHA-256 of the bundle's `manifest.json`.
        promise: what is promised of sure answers (`Calibration.promise`).
        conditions: first the scores of all subsets without any (`CLEAN`), then under each condition those of
            the subsets with the degraded modality.
        unfamiliar: by modality, the share of unfamiliar windows. `subsets` pools them too, as the paper does;
            `answered` and `conditions` leave them out, and learn who lies, as a session does that gets the
            examples as one stream.
        answered: the answer of each subset to each example.
        unknown: the answers to what is `KNOWN`, and to windows of no class.
        sparing: the bundle's policy for sensors that sleep, beside its rivals.
    """

    metric: str
    examples: int
    groups: int
    bundle: str
    promise: str
    answered: Answered
    unfamiliar: dict[str, float]
    conditions: tuple[ConditionScore, ...] = ()
    unknown: tuple[UnknownScore, ...] = ()
    sparing: SparingScore | None = None

    def __str__(self) -> str:
        """Write the scores of all sensors in a line: `audio+video: 94 % right, 10 % unsure, ...`."""
        name, found = max(self.reliability.items(), key=lambda item: item[0].count("+"))
        shares = (found.accuracy, "right"), (found.unsure, "unsure"), (found.sure_wrong, "sure and wrong")
        parts = ", ".join(f"{100 * share:.0f} % {word}" for share, word in shares)
        return f"{name}: {parts}, of {self.subsets[name].n} examples; the worst set is {self.worst}"

    __repr__ = __str__

    @property
    def reliability(self) -> dict[str, Reliability]:
        """The reliability of the answers of each subset."""
        return {name: outcomes.reliability for name, outcomes in self.answered.sets.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the result for `json.dumps`: `{"subsets": {name: {"accuracy", ...}}, "p", "r", ...}`."""
        return {
            "subsets": {
                name: asdict(score)
                | {"chance": self.chance[name], "at_chance": name in self.at_chance, "too_few": score.too_few}
                for name, score in self.subsets.items()
            },
            "unscored": list(self.unscored),
            **{
                key: value
                for name, one in (("p", self.mean), ("r", self.least))
                for key, value in ((name, one.value), (f"{name}_low", one.low), (f"{name}_high", one.high))
            },
            "worst": self.worst,
            "drops": {lost: asdict(drop) for lost, drop in self.drops.items()},
            "gains": {m: {to: asdict(one) for to, one in by.items()} for m, by in self.gains.items()},
            "metric": self.metric,
            "examples": self.examples,
            "groups": self.groups,
            "bundle": self.bundle,
            "data": self.answered.data,
            "promise": self.promise,
            "reliability": {name: asdict(one) for name, one in self.reliability.items()},
            "unfamiliar": self.unfamiliar,
            **({"conditions": [asdict(score) for score in self.conditions]} if self.conditions else {}),
            **({"unknown": [asdict(score) for score in self.unknown]} if self.unknown else {}),
            **({"sparing": asdict(self.sparing)} if self.sparing else {}),
        }


def audit(
    bundle: Bundle,
    examples: Sequence[Example] | Path | str,
    *,
    record: Path | str | None = None,
    dataset: str | None = None,
    progress: Progress = no_progress,
    conditions: Sequence[Applied | JointCondition] = (),
    more: Sequence[subsets.Subset] = (),
    unknown: Sequence[Example] | None = None,
    sparing: bool = False,
) -> AuditResult:
    """Score every measured subset of the bundle's modalities on labelled examples, which may lack modalities.

    Args:
        examples: some, or the folder of a dataset, whose split eval is scored.
        record: a record file, to which the run is added.
        dataset: the name of the data, for the record; by default, the folder's.
        progress: called after each example; each condition is another round of all examples.
        more: further subsets to score (`subsets.measured`).
        unknown: backgrounds, which may be none, to audit against beside near windows and classes left out.
        sparing: run the bundle's policy for sensors that sleep, too.
        conditions: each is audited by itself, unless an interrupted audit in the record has its scores.

    Raises:
        BadDataError: there is no example, or one is unlabelled, mislabelled or cannot be decoded; names it.
        RecordError: the record cannot be opened or written.
        EncoderError, BundleError: as `Bundle.encode`.
    """
    if isinstance(examples, (Path, str)):
        dataset = dataset or Path(examples).resolve().name
        examples = read_dataset(examples).split("eval")
    truth, task, modalities = truth_of(bundle, examples), bundle.manifest.task, bundle.modalities
    present = {m: np.array([m in example.modalities for example in examples]) for m in modalities}
    groups = group_codes([example.groups for example in examples])
    unknown_steps = 0 if unknown is None else steps(bundle, examples, unknown)
    whole = len(examples) * (1 + len(conditions)) + unknown_steps
    split = "+".join(sorted({example.split for example in examples}))
    content = contents(examples)
    with ExitStack() as stack:  # a record that cannot be written is known before anything is encoded
        records = stack.enter_context(RecordWriter(Path(record))) if record is not None else None
        run = records.begin("audit", bundle, dataset, split) if records else 0
        embeddings = _encoded(bundle, examples, lambda done: progress(done, whole))
        classifier, carried = bundle.classifier, devices(bundle.specs)
        more = [*more, *_without(carried.values(), modalities, more)]
        sets = [*subsets.measured(modalities), *more]
        evidence = {m: classifier.evidence(m, rows) for m, rows in zip(modalities, embeddings, strict=True)}
        alone = plain(evidence, sets, classifier.redundancy, task)
        measures = measure(np.stack(list(alone.values())), present, truth, task, groups, more, carried)
        if measures is None:
            raise BadDataError(f"no example has any of the bundle's modalities, {', '.join(modalities)}")
        labelled = Labelled(examples, embeddings, present, truth, groups)
        given = SimulatedSessions(sets, classifier).answers(evidence, present)
        earlier: dict[tuple[str, str, int], list[ConditionScore]] = {}
        if records and record is not None:
            records.add_answers(run, _answers(bundle.manifest.labels, examples, content, given))
            records.add_scores(run, measures.subsets, measures.chance, measures.estimates)
            earlier = _interrupted(Path(record), run)
        under: list[ConditionScore] = []
        for scores in _under(bundle, labelled, conditions, earlier, lambda done: progress(done, whole)):
            under += scores
            if records:
                records.add_conditions(run, scores)
        strange: tuple[UnknownScore, ...] = ()
        if unknown is not None:
            count = itertools.count(whole - unknown_steps + 1)
            strange = tuple(unknown_scores(bundle, labelled, unknown, lambda: progress(next(count), whole)))
            if records:
                records.add_unknown(run, strange)
        spared = audit_sparing(bundle, examples, evidence, present, truth) if sparing else None
        if records:
            records.add_sparing(run, spared)
            records.end(run)
    return AuditResult(
        **{each.name: getattr(measures, each.name) for each in fields(Measures)},
        metric=METRICS[task],
        examples=len(examples),
        groups=independent(groups),
        bundle=bundle.fingerprint,
        promise=bundle.manifest.calibration.promise,
        conditions=tuple(under),
        unknown=strange,
        sparing=spared,
        answered=Answered(
            [example.id for example in examples],
            [example.labels for example in examples],
            groups,
            bundle.manifest.labels,
            {
                name: outcomes(given[subset], truth, task, np.all([present[m] for m in subset], axis=0))
                for name, subset in ((name, subsets.parse(name)) for name in measures.subsets)
            },
            [example.groups for example in examples],
            content,
        ),
        unfamiliar={
            m: 1 - float(evidence[m].usable(present[m])[present[m]].mean())
            for m in bundle.manifest.calibration.familiar
            if present[m].any()
        },
    )


def _without(
    carried: Iterable[subsets.Subset], modalities: subsets.Subset, more: Sequence[subsets.Subset]
) -> list[subsets.Subset]:
    """Return the subset without each device, unless it is measured already."""
    known = {*subsets.measured(modalities), *more}
    left = (tuple(m for m in modalities if m not in some) for some in carried)
    return [rest for rest in dict.fromkeys(left) if rest not in known]


def _encoded(bundle: Bundle, examples: Sequence[Example], done: Callable[[int], None]) -> NDArray[np.float32]:
    """Return the embeddings, float32 [n, N, d]; zeros where an example lacks a modality."""
    shape = len(bundle.modalities), len(examples), bundle.manifest.embedding
    embeddings = np.zeros(shape, np.float32)

    def windows() -> Iterator[tuple[str, int, Media | str]]:
        for column, example in enumerate(examples):
            for modality in bundle.modalities:
                if modality in example.modalities:
                    spec = bundle.specs[modality]
                    yield modality, column, kind_of(spec).window(example, spec)
            done(column + 1)

    encode(bundle, windows(), dict(zip(bundle.modalities, embeddings, strict=True)))
    return embeddings


def _under(
    bundle: Bundle,
    labelled: Labelled,
    conditions: Sequence[Applied | JointCondition],
    earlier: Mapping[tuple[str, str, int], list[ConditionScore]],
    done: Callable[[int], None],
) -> Iterator[list[ConditionScore]]:
    if conditions:
        yield clean_scores(bundle, labelled)
    count = itertools.count(len(labelled.examples) + 1)
    for each in conditions:
        degradation = (each,) if isinstance(each, Applied) else each
        known = earlier.get(key_of(degradation))
        yield known or scores_under(bundle, labelled, degradation, lambda: done(next(count)))
        for _ in labelled.examples if known else ():
            done(next(count))


def _interrupted(record: Path, run: int) -> dict[tuple[str, str, int], list[ConditionScore]]:
    """Return the scores by condition of interrupted audits that gave the answers of `run`."""
    runs = {each.id: each for each in read_runs(record)}
    bundle, known = runs[run].bundle, dict[tuple[str, str, int], list[ConditionScore]]()
    for other in runs.values():
        cut = other.kind == "audit" and other.ended is None and other.bundle == bundle
        if cut and other.id != run and same_answers(record, run, other.id):
            found: dict[tuple[str, str, int], list[ConditionScore]] = {}
            for one in read_conditions(record, other.id):
                found.setdefault(one.key, []).append(one)
            known |= found
    return known


def truth_of(bundle: Bundle, examples: Sequence[Example]) -> NDArray[np.integer]:
    """Return the labels of examples, [N], or [N, C] of a multi-label task; BadDataError names a bad one."""
    if not examples:
        raise BadDataError("no example to audit; the audit needs labelled examples, such as the eval split")
    indices = {label: index for index, label in enumerate(bundle.manifest.labels)}
    multi_class = bundle.manifest.task == "multi-class"
    table = np.zeros((len(examples), len(indices)), dtype=np.int64)
    for row, example in zip(table, examples, strict=True):
        where = f"example {example.id!r} (index.jsonl:{example.line})"
        if not example.labels:
            raise BadDataError(f"{where}: unlabelled; an audit needs the truth, label it or leave it out")
        unknown = [label for label in example.labels if label not in indices]
        if unknown:
            raise BadDataError(f"{where}: the bundle has no label {unknown[0]!r}; rename it or leave it out")
        if multi_class and len(example.labels) > 1:
            raise BadDataError(f"{where}: {len(example.labels)} labels, the bundle's task is one class each")
        row[[indices[label] for label in example.labels]] = 1
    return table.argmax(axis=1) if multi_class else table


def _answers(
    labels: Sequence[str],
    examples: Sequence[Example],
    content: Sequence[str],
    answers: Mapping[subsets.Subset, Answers],
) -> Iterator[RecordedAnswer]:
    for column, example in enumerate(examples):
        for subset, answer in answers.items():
            if set(subset) <= set(example.modalities):
                probabilities = answer.probabilities[column].astype(np.float32)
                yield RecordedAnswer(
                    example.id,
                    example.line,
                    example.labels,
                    subsets.name(subset),
                    labels[int(probabilities.argmax())],
                    probabilities,
                    answer.threshold,
                    DOUBTS[answer.doubts[column]],
                    example.groups,
                    content[column],
                )
