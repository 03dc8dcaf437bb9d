"""`sensemble export`: a trained model of a run, quantized and lowered into the run's bundle."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sensemble_export import search
from sensemble_export.artifact_store import Workshop
from sensemble_export.bundle import Origin, export_bundle, floats, workshop, write_bundle
from sensemble_export.partition_report import FILE_NAME, describe_lowering
from sensemble_export.targets import Job, is_calibrated, plan
from sensemble_runtime import subsets
from sensemble_runtime.progress import Progress, Stages
from sensemble_runtime.subsets import Subset
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_train.data.clips import Clips, decode
from sensemble_train.models.model import Model, load_model

from sensemble_apps.arguments import Export
from sensemble_apps.console.output import remark, say
from sensemble_apps.console.progress import stages
from sensemble_apps.errors import InputError
from sensemble_apps.runs.costs import show_costs
from sensemble_apps.runs.export_examples import (
    EVALUATED,
    calibration_examples,
    held_out_examples,
    searched_examples,
)
from sensemble_apps.runs.matrices import most_robust
from sensemble_apps.runs.run_folder import BUNDLE, CONFIG, MODELS, SELECTION, TRADE_OFF
from sensemble_apps.runs.tradeoff import show


def main(arguments: Export) -> None:
    """Export, and print where the bundle is.

    Raises:
        InputError, MatrixError, CheckpointError, BadDataError, ExportError: the run cannot be exported.
    """
    if arguments.budget is not None and arguments.scheme:
        raise InputError("--budget searches the schemes that --scheme sets: give one of them")
    budget = search.parse_budget(arguments.budget) if arguments.budget is not None else None
    train = subsets.parse(arguments.train_modalities) if arguments.train_modalities else None
    export(
        arguments.run,
        arguments.method,
        train or most_robust(arguments.run / SELECTION, arguments.method),
        arguments.target,
        arguments.scheme,
        budget,
    )
    say(str(arguments.run / BUNDLE))


def export(
    run: Path,
    method: str,
    train: Subset,
    targets: Sequence[str] = ("executorch-xnnpack",),
    schemes: Sequence[str] = (),
    budget: dict[str, float] | None = None,
) -> None:
    """Export the model of one method and M_T into the run's bundle, with progress bars.

    Args:
        run: the run folder.
        method: which of its methods.
        train: which M_T.
        targets: for what, names of `sensemble_export.targets.TARGETS`.
        schemes: how to quantize what, as `sensemble_export.targets.plan` takes it.
        budget: limits (`sensemble_export.search.parse_budget`) within which schemes are searched instead;
            the trade-off, on the split calibrate, is printed, and drawn into the run folder.

    Raises:
        InputError, CheckpointError, BadDataError, ExportError: as `main`.
    """
    folder = run / MODELS / method / subsets.name(train)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: not trained; `sensemble train --out {run} --train-modalities {subsets.name(train)}`"
        )
    model = load_model(folder)
    data = _data(run)
    dataset = read_dataset(data)
    origin = Origin(train, method, data.resolve().name)
    jobs = plan(model.modalities, targets, schemes)
    if budget is not None:
        search.check_targets(targets)
    ranged = {job.modality for job in jobs if budget is not None or is_calibrated(job.scheme)}
    measured = held_out_examples(dataset, model.modalities)
    searched = searched_examples(dataset, model.modalities) if budget is not None else []
    calibrating = {modality: calibration_examples(dataset, modality) for modality in sorted(ranged)}
    with stages() as advance:
        calibration = {
            m: _decode(model, [m], partial(advance, f"decode {m}"), examples).inputs[m]
            for m, examples in calibrating.items()
        }
        held_out = _decode(model, model.modalities, partial(advance, "decode"), measured)
        if budget is None:
            manifest = export_bundle(
                model,
                run / BUNDLE,
                origin,
                calibration=calibration,
                held_out=held_out,
                jobs=jobs,
                progress=partial(advance, "export"),
            )
        else:
            chosen_by = _decode(model, model.modalities, partial(advance, "decode calibrate"), searched)
            with workshop(model, run / BUNDLE, calibration, chosen_by) as shop:
                chosen = _searched(shop, run, targets, budget, advance)
                shop.measure_on(held_out, (*chosen, *floats(chosen)), partial(advance, "measure"))
                manifest = write_bundle(shop, chosen, run / BUNDLE, origin)
    show_costs(manifest, f"{len(held_out)} of {len(dataset.split(EVALUATED))} examples")
    for line in describe_lowering(run / BUNDLE / FILE_NAME):
        remark(line)


def _searched(
    shop: Workshop, run: Path, targets: Sequence[str], budget: dict[str, float], advance: Stages
) -> list[Job]:
    """Return the best artifacts within the budget for each target, with its trade-off shown and drawn."""
    chosen: list[Job] = []
    for target in targets:
        found = search.options(shop, target, partial(_stage, advance, target), remark)
        show(target, found, budget, run / TRADE_OFF.format(target=target))
        chosen += search.best(found, budget).jobs
    return chosen


def _stage(advance: Stages, target: str, stage: str) -> Progress:
    return partial(advance, f"{target}: {stage}")


def _data(run: Path) -> Path:
    """Return the dataset that the run was trained on, as its configuration names it."""
    try:
        return Path(json.loads((run / CONFIG).read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{run / CONFIG}: does not name the run's data ({error}); train the run again"
        ) from error


def _decode(
    model: Model, modalities: Sequence[str], progress: Progress, examples: Sequence[Example]
) -> Clips:
    what = model.description
    specs = {modality: what.specs[modality] for modality in modalities}
    return decode(examples, specs, model.tokenizer, what.labels, what.task, progress)
