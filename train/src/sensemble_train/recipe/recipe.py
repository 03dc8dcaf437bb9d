"""The recipe, top to bottom: read the data, pretrain, train a row of the matrix for each M_T, and score it.

Finished parts of a run folder are never done again, so an interrupted run continues where it stopped, and
several jobs may work on one folder: each takes a set M_T that no other job has.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import Subset
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset

from sensemble_train.data.clips import Source
from sensemble_train.distributed import World, alone, join
from sensemble_train.models.model import Model
from sensemble_train.recipe import run_folder
from sensemble_train.recipe.balance import balanced
from sensemble_train.recipe.cell import Cell, Job
from sensemble_train.recipe.config import Config, claim
from sensemble_train.recipe.evaluate import embed, evaluate, intervals
from sensemble_train.recipe.examples import choose, read
from sensemble_train.recipe.initialization import new_model
from sensemble_train.recipe.methods import distill_subsets
from sensemble_train.recipe.planning.preflight import check
from sensemble_train.recipe.pretrain import pretrain
from sensemble_train.recipe.run_folder import Matrix, read_matrix
from sensemble_train.recipe.sources import backgrounds, make_sources
from sensemble_train.training.loop import Loop

Row = Callable[[Cell], Model]
"""Returns the model of a method for one M_T, trained first if the run folder lacks it."""
Rows = Mapping[str, Row]
"""Method -> its row of the matrix."""


def subset(cell: Cell) -> Model:
    """Return the model that ships: every subset learns from labels and late fusion, then all are balanced."""
    sources = cell.sources

    def make(loop: Loop) -> Model:
        student = distill_subsets(cell.start(loop), sources["distill"], cell.teacher(), cell.background)
        return balanced(student, sources["calibrate"], cell.job.loop("balance")) if cell.held_out else student

    return cell.trained("subset", make)


SHIPPED: Rows = {"subset": subset}
"""The row that is trained unless somebody asks for comparisons."""


def run(
    config: Config,
    out: Path | str,
    progress: Stages = no_progress,
    rows: Rows = SHIPPED,
    begin: Callable[[Config, Dataset, World], tuple[Model, float]] = new_model,
    pretraining: Callable[..., Model] = pretrain,
) -> Matrix:
    """Train each of `rows` for every M_T of `config`, and score it on every M_E.

    Args:
        out: the run folder; an unfinished run of the same configuration in it is continued.
        progress: called with (stage, steps done, steps in all), on rank 0.
        rows: the methods.
        begin: makes the initial model; `experiments` has other models, pretraining and methods.
        pretraining: as `pretrain`.

    Returns:
        The matrix on the split `eval`, which `matrix.json` holds too.

    Raises:
        ConfigurationError: the configuration does not fit the data, or the folder holds another one.
        BadDataError: the dataset does not follow the data format.
    """
    out = Path(out)
    dataset = read(config.data, config)
    chosen = choose(config, dataset)
    train_sets = check(config, dataset, chosen["train"])
    groups = {split: group_codes([e.group for e in chosen[split]]) for split in run_folder.SCORED}
    with join() as world:
        with run_folder.claimed(out, "config", world, wait=True):
            if world.rank == 0:
                claim(out, config)
            world.barrier()
        if world.agree(run_folder.scored(out, rows, train_sets)):
            return read_matrix(out)
        job = Job(config, out, world, progress)
        torch.manual_seed(config.seed)
        model, log_scale = begin(config, dataset, world)
        sources = make_sources(config, model, chosen, job.report)
        background = backgrounds(config, model, dataset, job.report)
        held_out = bool(dataset.split("calibrate"))
        del dataset, chosen  # perhaps millions of objects; streamed sources hold them packed
        pretrained = job.trained(
            "pretrained",
            "pretrain",
            lambda loop: pretraining(
                model, sources["pretrain"], config.pretrain, loop, log_scale, background
            ),
        )
        embedded = embed({"": pretrained}, sources["train"], job.loop("embed"))[""]
        # First the sets that no other job has; then those that others had, in case one of them died.
        for wait in (False, True):
            for train in train_sets:
                if world.agree(run_folder.scored(out, rows, [train])):
                    continue
                with run_folder.claimed(out, subset_name(train), world, wait=wait) as ours:
                    if ours:
                        cell = Cell(job, train, pretrained, embedded, sources, background, held_out)
                        models = {method: row(cell) for method, row in rows.items()}
                        for split in run_folder.SCORED:
                            _score(job, models, sources[split], train, split, groups[split])
        world.barrier()
        return read_matrix(out)


def _score(
    job: Job,
    models: Mapping[str, Model],
    source: Source,
    train: Subset,
    split: str,
    groups: NDArray[np.int64],
) -> None:
    """Score the methods without a score, decoding each example once for all, and write the matrix."""
    paths = {m: run_folder.of_split(run_folder.cell(job.out, m, train), "scores", split) for m in models}
    rest = {m: model for m, model in models.items() if not job.world.agree(paths[m].exists())}
    loop = job.loop(f"evaluate {subset_name(train)} on {split}")
    embedded = embed(rest, source, loop) if rest else {}
    if job.world.rank == 0:
        for method, clips in embedded.items():
            cell = paths[method].parent
            cell.mkdir(parents=True, exist_ok=True)  # late fusion has no model of its own
            spread = intervals(rest[method], clips, groups)
            run_folder.write_json(run_folder.of_split(cell, "intervals", split), spread)
            run_folder.write_json(paths[method], evaluate(rest[method], clips))
        with run_folder.claimed(job.out, "matrix", alone(), wait=True):
            run_folder.write_json(
                run_folder.of_split(job.out, "matrix", split),
                {
                    "methods": run_folder.collect(job.out, "scores", split),
                    "intervals": run_folder.collect(job.out, "intervals", split),
                },
            )
