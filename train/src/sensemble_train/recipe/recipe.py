"""The recipe, top to bottom: read the data, pretrain, train a row of the matrix for each M_T, and score it.

Finished parts of a run folder are never done again, so an interrupted run continues where it stopped, and
several jobs may work on one folder: each takes a set M_T that no other job has.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import Subset
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.distributed import World, alone, join
from sensemble_train.errors import ConfigurationError
from sensemble_train.models.infer_spec import describe
from sensemble_train.models.model import Model
from sensemble_train.models.tokenizer import new_tokenizer
from sensemble_train.objectives.contrastive import LOG_SCALE
from sensemble_train.recipe import run_folder
from sensemble_train.recipe.config import Config, claim
from sensemble_train.recipe.evaluate import embed, evaluate, intervals
from sensemble_train.recipe.examples import (
    Chosen,
    ProgressOf,
    background_examples,
    backgrounds,
    check,
    choose,
    decoded,
    read,
)
from sensemble_train.recipe.imitation import imitate, lessons, load_teacher
from sensemble_train.recipe.job import SubsetJob, TrainingJob
from sensemble_train.recipe.methods import pretrain
from sensemble_train.recipe.run_folder import Matrix, read_matrix
from sensemble_train.training.loop import Loop

MatrixRow = Callable[[SubsetJob], Model]
"""Returns the model of a method for one M_T, trained first if the run folder lacks it."""
MatrixRows = Mapping[str, MatrixRow]
"""Method -> its row of the matrix."""
SHIPPED: MatrixRows = {"subset": SubsetJob.subset}
"""The row that is trained unless somebody asks for comparisons."""


def run(
    config: Config, out: Path | str, progress: Stages = no_progress, dataset: Dataset | None = None
) -> Matrix:
    """Train the shipped method for every M_T of `config`, and score it on every M_E.

    Args:
        out: the run folder; an unfinished run of the same configuration in it is continued.
        progress: called with (stage, steps done, steps in all), on rank 0.
        dataset: that of `config`, if it is read already.

    Returns:
        The matrix on the split `eval`, which `matrix.json` holds too.

    Raises:
        ConfigurationError: the configuration does not fit the data, or the folder holds another one.
        BadDataError: the dataset does not follow the data format.
    """
    return Recipe(config).run(Path(out), progress, dataset)


class Recipe:
    """The stages of a run; `experiments` replaces some of them."""

    skip_bad = False  # whether bad examples are logged and left out

    def __init__(self, config: Config, rows: MatrixRows = SHIPPED) -> None:
        self.config, self.rows = config, rows

    def run(self, out: Path, progress: Stages, dataset: Dataset | None) -> Matrix:
        """See `run`."""
        config, rows = self.config, self.rows
        dataset = dataset or read(config.data, skip_bad=self.skip_bad)
        chosen, train_sets = self.examples(dataset)
        groups = {split: group_codes([e.groups for e in chosen[split]]) for split in run_folder.SCORED}
        with join() as world:
            with run_folder.claimed(out, "config", world, wait=True):
                new = world.rank == 0 and not (out / run_folder.CONFIG).exists()
                if world.rank == 0:
                    claim(out, config)
                world.barrier()
            if world.agree(run_folder.scored(out, rows, train_sets)):
                return read_matrix(out)
            job = TrainingJob(config, out, world, progress)
            torch.manual_seed(config.seed)
            with run_folder.removed_if_refused(out / run_folder.CONFIG if new else None):
                model, log_scale = self.begin(dataset, world)
            teacher = load_teacher(config, model) if config.teacher else None
            sources = {use: self.source(model, use, some, job.report) for use, some in chosen.items()}
            taught = lessons(job, teacher, chosen, sources) if teacher else None
            if "distill" not in sources:  # D_SD: those that have every modality (Sec. 5)
                unlabelled = (taught.answered if taught else sources["pretrain"]).having(model.modalities)
                order = torch.randperm(len(unlabelled), generator=seeded(config.seed, "distill"))
                sources["distill"] = unlabelled.take(order[: config.distill])
            background = self.background(model, dataset, job.report)
            held_out = bool(dataset.split("calibrate"))

            def make(loop: Loop) -> Model:
                if taught:
                    return imitate(model, taught.embedded, config, loop, background)
                return self.pretrain(model, sources["pretrain"], loop, log_scale, background)

            pretrained = job.trained("pretrained", "pretrain", make)
            (embedded,) = embed(sources["train"], job.loop("embed"), pretrained)
            # First the sets that no other job has; then those that others had, in case one of them died.
            for wait, train in product((False, True), train_sets):
                if world.agree(run_folder.scored(out, rows, [train])):
                    continue
                with run_folder.claimed(out, subset_name(train), world, wait=wait) as ours:
                    if ours:
                        cell = SubsetJob(job, train, pretrained, embedded, sources, background, held_out)
                        models = {method: row(cell) for method, row in rows.items()}
                        for split in run_folder.SCORED:
                            _score(job, models, sources[split], train, split, groups[split])
            world.barrier()
            return read_matrix(out)

    def examples(self, dataset: Dataset) -> tuple[Chosen, list[Subset]]:
        """Return the examples by their use, and the sets M_T to train for."""
        chosen = choose(dataset)
        return chosen, check(self.config, dataset, chosen["train"], from_scratch=True)

    def background(self, model: Model, dataset: Dataset, report: ProgressOf) -> Clips | None:
        """Return features of windows that show none of the classes; None if no training uses them."""
        own = background_examples(self.config, model, dataset)
        return backgrounds(self.config, model, own, report, skip_bad=self.skip_bad)

    def begin(self, dataset: Dataset, world: World) -> tuple[Model, float]:
        """Return the initial model and temperature; draws from torch's global generator. See `new_model`."""
        return new_model(self.config, dataset, world), LOG_SCALE

    def pretrain(
        self, model: Model, unlabelled: ClipSource, loop: Loop, log_scale: float, background: Clips | None
    ) -> Model:
        """Return a copy of `model` with pretrained encoders."""
        return pretrain(model, unlabelled, self.config.pretrain, loop, log_scale, background)

    def source(self, model: Model, use: str, examples: Sequence[Example], report: ProgressOf) -> ClipSource:
        """Return the examples of one use, such as `train`, to load batches from."""
        return decoded(self.config, model, use, examples, report, skip_bad=self.skip_bad)


def new_model(config: Config, dataset: Dataset, world: World) -> Model:
    """Make the small model that fits `dataset`; draws from torch's global generator.

    Raises:
        ConfigurationError: the dataset or the settings do not fit the model.
    """
    if not config.model.fitted:
        raise ConfigurationError(
            f"--model.name {config.model.name}: is of the paper's experiments; run one by `sensemble train "
            "matrix`, or take `small`"
        )
    description = describe(dataset, config.model, config.task, config.encoders, config.unfrozen)
    return Model(description, new_tokenizer(description, dataset, world))


def _score(
    job: TrainingJob,
    models: Mapping[str, Model],
    source: ClipSource,
    train: Subset,
    split: str,
    groups: NDArray[np.int64],
) -> None:
    """Score the methods without a score, decoding each example once for all, and write the matrix."""
    paths = {m: run_folder.of_split(run_folder.cell(job.out, m, train), "scores", split) for m in models}
    rest = {m: model for m, model in models.items() if not job.world.agree(paths[m].exists())}
    loop = job.loop(f"evaluate {subset_name(train)} on {split}")
    embedded = embed(source, loop, *rest.values()) if rest else []
    if job.world.rank == 0:
        for (method, model), clips in zip(rest.items(), embedded, strict=True):
            cell = paths[method].parent
            cell.mkdir(parents=True, exist_ok=True)  # late fusion saves no model
            spread = intervals(model, clips, groups)
            run_folder.write_json(run_folder.of_split(cell, "intervals", split), spread)
            run_folder.write_json(paths[method], evaluate(model, clips))
        with run_folder.claimed(job.out, "matrix", alone(), wait=True):
            run_folder.write_json(
                run_folder.of_split(job.out, "matrix", split),
                {
                    "methods": run_folder.collect(job.out, "scores", split),
                    "intervals": run_folder.collect(job.out, "intervals", split),
                },
            )
