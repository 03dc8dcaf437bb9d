"""The export of a training run: load a trained model, its data, export it, and optionally search schemes."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sensemble_runtime.auditing.sparing_audit import schedule
from sensemble_runtime.auditing.sparing_fit import Wishes
from sensemble_runtime.auditing.stream_windows import windows_of
from sensemble_runtime.auditing.timeline_fit import ASKED
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_runtime.progress import Progress, Stages, no_progress
from sensemble_runtime.subsets import name
from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import Fields
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset
from sensemble_sensors.media.spans import Span
from sensemble_sensors.media.streams import read_streams, seconds
from sensemble_train.data.clips import Clips, as_input, decode
from sensemble_train.models.model import Model, load_model
from sensemble_train.recipe.linear import group_folds
from torch import Tensor

from sensemble_export import search
from sensemble_export.bundle.earlier import earlier
from sensemble_export.bundle.write import Origin, staged_store, write_bundle
from sensemble_export.errors import ExportError, RunFolderError
from sensemble_export.lowering.targets import FLOAT, Job, needs_ranges, plan
from sensemble_export.measuring.artifact_store import ArtifactStore
from sensemble_export.measuring.calibration import NOTHING, FittedOn, StreamInput, finer
from sensemble_export.measuring.examples import (
    EVALUATED,
    calibrate_examples,
    calibration_examples,
    held_out_examples,
    searched_examples,
)
from sensemble_export.measuring.familiarity import (
    background_examples,
    degraded,
    known_examples,
    synthetic,
    varied,
)
from sensemble_export.measuring.near import near_windows
from sensemble_export.search import BudgetError, TradeOff

SPARING = Wishes()
_UNSEEN = 1 << 32  # the seed of other near windows than training's


@dataclass(frozen=True, slots=True)
class RunExport:
    """The outcome of `export_run` or `export_model`.

    Attributes:
        measured: the number of examples of the split eval that it was measured on.
        evaluated: the number of examples of that split.
        trade_offs: with a budget, the combinations of schemes that were measured, one for each target.
    """

    bundle: Path
    manifest: Manifest
    measured: int
    evaluated: int
    trade_offs: tuple[TradeOff, ...] = ()


def export_run(
    run: Path | str,
    method: str,
    train_modalities: Iterable[str],
    *,
    targets: Sequence[str] = ("executorch-xnnpack",),
    schemes: Iterable[str] = (),
    budget: Mapping[str, float] | None = None,
    false_per_hour: float = ASKED,
    sparing: Wishes = SPARING,
    only_add: bool = False,
    progress: Stages = no_progress,
) -> RunExport:
    """Export one trained model of a run folder into the run's `bundle/`, as `export_model` does.

    Args:
        method: which of its methods, such as `masd+wiseft`.
        train_modalities: M_T, the modalities that the model was trained on.
        schemes: `[TARGET:]MODALITY=SCHEME` each, as `plan` takes them; others are the target's default.
        budget: limits within which schemes are searched instead, for each target: `size` (MB of
            all encoders), `latency` (ms of all encoders) and `drop` (points of accuracy on any subset). The
            search measures on the split calibrate; the bundle is then measured on eval.
        false_per_hour: the false events an hour that the thresholds of streams are fitted to.
        sparing: what letting sensors sleep may cost, and in which order they do.
        only_add: refuse to replace the bundle, or an artifact of it.
        progress: called with (stage, steps done, steps in all), from other threads too.

    Raises:
        RunFolderError: the folder does not have that model, or does not name its data.
        BadDataError: the data cannot be read.
        BudgetError: no combination is within the budget; holds the trade-offs that were measured.
        ExportError: an artifact cannot be made; one of its target's default scheme never fails for parity: it
            gets a better scheme (`search.good_enough`).
    """
    run, train = Path(run), tuple(sorted(train_modalities))
    model, data = _load(run, method, train), _data(run)
    origin = Origin(train, method, data.resolve().name)
    return export_model(
        model,
        data,
        run / "bundle",
        origin,
        targets=targets,
        schemes=schemes,
        budget=budget,
        false_per_hour=false_per_hour,
        sparing=sparing,
        only_add=only_add,
        progress=progress,
    )


def export_model(
    model: Model,
    data: Path | str,
    out: Path | str,
    origin: Origin,
    *,
    targets: Sequence[str] = ("executorch-xnnpack",),
    schemes: Iterable[str] = (),
    budget: Mapping[str, float] | None = None,
    false_per_hour: float = ASKED,
    sparing: Wishes = SPARING,
    only_add: bool = False,
    progress: Stages = no_progress,
) -> RunExport:
    """Export a model into the bundle `out`, fitted and measured on a dataset, which has the model's labels.

    A bundle of the same model there keeps its artifacts for other targets. If all of them stay, so do its
    head and calibration, and its audits hold. A bundle of another model is replaced, with a warning.

    The other arguments, and what is raised, are those of `export_run`.
    """
    out, dataset = Path(out), read_dataset(data)
    jobs = plan(model.modalities, targets, schemes)
    if budget is not None:
        search.check_targets(targets)
    ranged = sorted({job.modality for job in jobs if budget is not None or needs_ranges(job.scheme)})
    measured = held_out_examples(dataset, model.modalities)
    searched = searched_examples(dataset, model.modalities) if budget is not None else []
    calibrating = {modality: calibration_examples(dataset, modality) for modality in ranged}
    calibration = {
        m: _decode(model, [m], examples, partial(progress, f"decode {m}")).inputs[m]
        for m, examples in calibrating.items()
    }
    groups = [example.groups for example in measured]
    trade_offs = list[TradeOff]()
    with staged_store(model, out, calibration) as store:
        before = earlier(model, store.head, out, only_add=only_add)
        adds = before is not None and before.is_extended_by(targets)
        if only_add and not adds:
            what = f"already has artifacts for {' or '.join(targets)}" if before else "is no bundle yet"
            raise ExportError(f"{out}: {what}, so nothing is added; leave out --only-add")
        if budget is None:
            count = itertools.count(1)
            progress("lower", 0, len(jobs))  # the first takes long
            # Lowering takes a process for each core, decoding is done in this one.
            with ThreadPoolExecutor(1) as pool, _one_thread():
                lowering = pool.submit(store.lower, jobs, lambda: progress("lower", next(count), len(jobs)))
                store.hold_out(_decode(model, model.modalities, measured, partial(progress, "decode")))
                fitted_on = NOTHING if adds else _fitted_on(model, dataset, progress, false_per_hour, sparing)
                lowered = lowering.result()
            store.make(jobs, partial(progress, "measure"), lowered=lowered)
            chosen = search.good_enough(store, jobs)
        else:
            searching = partial(progress, "decode the search's")
            store.hold_out(_decode(model, model.modalities, searched, searching))
            chosen = _search(store, targets, budget, progress, trade_offs)
            held_out = _decode(model, model.modalities, measured, partial(progress, "decode"))
            fitted_on = NOTHING if adds else _fitted_on(model, dataset, progress, false_per_hour, sparing)
            floats = [] if adds else [Job(job.modality, chosen[0].target, FLOAT) for job in chosen]
            store.measure_on(held_out, (*chosen, *floats), partial(progress, "measure"))
        manifest = write_bundle(store, chosen, out, origin, before, groups=groups, fitted_on=fitted_on)
    return RunExport(out, manifest, len(measured), len(dataset.split(EVALUATED)), tuple(trade_offs))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: where all cores are busy, threads mostly spin until the others are done."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fitted_on(
    model: Model, dataset: Dataset, progress: Stages, false_per_hour: float, sparing: Wishes
) -> FittedOn:
    splits = ("train", "calibrate") if model.description.linear else ("calibrate",)
    labelled, stage = calibrate_examples(dataset, splits), partial(progress, "decode calibrate")
    calibrate = _decode(model, model.modalities, labelled, stage) if labelled else None
    groups, people = [example.groups for example in labelled], [example.person for example in labelled]
    known, background = dict[str, Tensor](), dict[str, Tensor]()
    hard = dict[str, tuple[Tensor, Tensor]]()
    for modality in model.modalities:
        stage = partial(progress, f"decode {modality}, familiar and not")
        spec, task = model.description.specs[modality], model.description.task
        others = background_examples(dataset, spec)
        seen = known_examples(dataset, modality)
        # Training may have skipped bad media files too.
        clips = _decode(model, [modality], [*seen, *others], stage, skip_bad=True)
        there, rows = clips.present[modality], clips.inputs[modality]
        split = len(seen)
        known[modality] = varied(model, modality, rows[:split][there[:split]])
        near = near_windows(dataset.split("train"), spec, model.tokenizer, task, _UNSEEN)
        background[modality] = torch.cat([rows[split:][there[split:]], synthetic(model, modality), near])
        hard[modality] = degraded(model, dataset, modality, partial(progress, f"degrade {modality}"))
    heard, spans = _heard(model, dataset, partial(progress, "decode streams"))
    turns = unseen = None
    if model.description.linear:
        turns = group_folds(apart(labelled)).numpy()
        unseen = np.array([e.split == "calibrate" for e in labelled])
    fitted_on = FittedOn(
        calibrate,
        groups,
        people,
        turns,
        unseen,
        streams=heard,
        spans=spans,
        false_per_hour=false_per_hour,
        plan=schedule(labelled, model.description.specs) if labelled else None,
        wishes=sparing,
    )
    if not all(map(len, known.values())):  # nothing shows what is familiar
        return fitted_on
    return replace(fitted_on, known=known, background=background, degraded=hard)


def _heard(model: Model, dataset: Dataset, progress: Progress) -> tuple[list[StreamInput], tuple[Span, ...]]:
    """Return the windows of the streams of calibrate, and the spans of those of train and calibrate."""
    specs, labels = model.description.specs, model.description.labels
    streams = [one for one in read_streams(dataset.folder) if one.split in {"train", "calibrate"}]
    chosen = [one for one in streams if one.split == "calibrate" and {*one.modalities} & {*specs}]
    found = list[StreamInput]()
    for done, stream in enumerate(chosen, start=1):
        ends, windows = dict[str, list[float]](), dict[str, list[Tensor]]()
        for m, window in windows_of(stream, finer(specs)):
            ends.setdefault(m, []).append(window.time)
            windows.setdefault(m, []).append(as_input(window.data, specs[m], model.tokenizer))
        hours = seconds(stream, dataset.declared) / 3600
        there = {m: torch.cat(rows) for m, rows in windows.items()}
        found.append(StreamInput(stream.spans, hours, {m: np.array(own) for m, own in ends.items()}, there))
        progress(done, len(chosen))
    return found, tuple(span for one in streams for span in one.spans if span.label in labels)


def _search(
    store: ArtifactStore,
    targets: Sequence[str],
    budget: Mapping[str, float],
    progress: Stages,
    trade_offs: list[TradeOff],
) -> list[Job]:
    """Return the best artifacts within the budget for each target; add what was measured to `trade_offs`."""
    chosen: list[Job] = []
    for target in targets:
        trade_offs.append(search.trade_off(store, target, progress))
        try:
            chosen += search.best(trade_offs[-1].options, budget).jobs
        except BudgetError as error:
            error.trade_offs = tuple(trade_offs)
            raise
    return chosen


def apart(examples: Sequence[Example]) -> list[Example]:
    """Return labelled examples with the groups that are left out in turn, to fit a calibration.

    They are people. Where somebody alone gave a class, as in takes of one sitting, what is fitted without
    them would not know it; then they are the examples' groups, the last of these, or each example.
    """
    counts = Counter(label for example in examples for label in example.labels)
    ways = (
        [example.person or example.group or example.id for example in examples],
        [example.group or example.id for example in examples],
        [example.groups[-1] if example.groups else example.id for example in examples],
        [example.id for example in examples],
    )
    for way in ways:
        pairs = {(label, who) for e, who in zip(examples, way, strict=True) for label in e.labels}
        apart = Counter(label for label, _ in pairs)
        if all(apart[label] > 1 or counts[label] == 1 for label in counts):
            break
    return [replace(example, groups=(who,)) for example, who in zip(examples, way, strict=True)]


def _load(run: Path, method: str, train: Sequence[str]) -> Model:
    folder = run / "models" / method / name(train)
    if not folder.is_dir():
        raise RunFolderError(
            f"{folder}: not trained; `sensemble train --out {run} --train-modalities {name(train)}`"
        )
    return load_model(folder)


def _data(run: Path) -> Path:
    path = run / "config.json"
    try:
        return Path(Fields(path.read_bytes()).string("data"))
    except (OSError, BadDataError) as error:
        raise RunFolderError(
            f"{path}: does not name the run's data ({error}); train the run again"
        ) from error


def _decode(
    model: Model,
    modalities: Sequence[str],
    examples: Sequence[Example],
    progress: Progress,
    *,
    skip_bad: bool = False,
) -> Clips:
    described = model.description
    specs = {modality: described.specs[modality] for modality in modalities}
    return decode(
        examples, specs, model.tokenizer, described.labels, described.task, progress, skip_bad=skip_bad
    )
