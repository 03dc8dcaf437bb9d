"""The recipe: pretrain, then train each method for each M_T, and the matrix.

Finished parts of a run folder are never done again, so an interrupted run continues where it stopped, and
several jobs may work on one folder: each takes a set M_T that no other job has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.progress import Progress, Stages, no_progress
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import Clips, Source
from sensemble_train.distributed import World, alone, join
from sensemble_train.models.model import Model, load_model
from sensemble_train.recipe import run_folder
from sensemble_train.recipe.config import Config, claim
from sensemble_train.recipe.evaluate import embed, evaluate, intervals
from sensemble_train.recipe.examples import choose, read
from sensemble_train.recipe.initialization import new_model
from sensemble_train.recipe.methods import (
    AVERAGED,
    METHODS,
    distill_subsets,
    finetune,
    linear_probe,
    specialist,
    wiseft,
)
from sensemble_train.recipe.planning.preflight import check
from sensemble_train.recipe.pretrain import pretrain
from sensemble_train.recipe.run_folder import Matrix, read_matrix
from sensemble_train.recipe.sources import backgrounds, make_sources
from sensemble_train.recipe.teacher import best_inputs
from sensemble_train.training.loop import Loop


def run(config: Config, out: Path | str, progress: Stages = no_progress) -> Matrix:
    """Train every method for every M_T of `config`, and score each on every M_E.

    Args:
        config: what to train.
        out: the run folder; an unfinished run of the same configuration in it is continued.
        progress: called with (stage, steps done, steps in all), on rank 0.

    Returns:
        The matrix on the split `eval`, which `matrix.json` holds too.

    Raises:
        ConfigurationError: the configuration does not fit the data, or the folder holds another one.
        BadDataError: the dataset does not follow the data format.
    """
    out = Path(out)
    dataset = read(config.data, config)
    chosen = choose(config, dataset)
    wanted = check(config, dataset, chosen["train"])
    with join() as world:
        with run_folder.claimed(out, "config", world, wait=True):
            if world.rank == 0:
                claim(out, config)
            world.barrier()
        found = not config.ceiling or run_folder.ceiling(out).exists()
        if not world.agree(found and run_folder.scored(out, methods(config), wanted)):
            groups = {split: group_codes([e.group for e in chosen[split]]) for split in run_folder.SCORED}
            job = _Job(config, out, world, progress, groups)
            model, log_scale, sources = job.prepare(dataset, chosen)
            background = backgrounds(config, model, dataset, job.report)
            del dataset, chosen  # perhaps millions of objects; streamed sources hold them packed
            pretrained = job.pretrain(model, sources["pretrain"], log_scale, background)
            job.train(pretrained, sources, wanted, background)
            if config.ceiling:
                job.find_ceiling(pretrained, sources)
        world.barrier()
        return read_matrix(out)


def methods(config: Config) -> tuple[str, ...]:
    """Return the rows of the matrix that `config` asks for."""
    return (*METHODS, "finetune_everything") if config.everything else METHODS


@dataclass(frozen=True, slots=True)
class _Job:
    """A job's work on a run folder."""

    config: Config
    out: Path
    world: World
    progress: Stages
    groups: Mapping[str, NDArray[np.int64]]  # of the examples of each split that is scored

    def prepare(
        self, dataset: Dataset, chosen: Mapping[str, Sequence[Example]]
    ) -> tuple[Model, float, dict[str, Source]]:
        """Return the untrained model, the log of its inverse temperature, and the sources of examples."""
        torch.manual_seed(self.config.seed)
        model, log_scale = new_model(self.config, dataset, self.world)
        return model, log_scale, make_sources(self.config, model, chosen, self.report)

    def pretrain(self, model: Model, unlabelled: Source, log_scale: float, background: Clips | None) -> Model:
        """Return the pretrained model of the run folder, trained first if it is not there yet."""
        folder = self.out / "pretrained"
        with run_folder.claimed(self.out, "pretrained", self.world, wait=True):
            if not self.world.agree(run_folder.finished(folder)):
                loop = self._loop("pretrain", folder)
                settings = self.config.pretrain
                pretrained = pretrain(model, unlabelled, settings, loop, log_scale, background)
                run_folder.save(pretrained, folder, self.world)
        return load_model(folder)

    def train(
        self,
        model: Model,
        sources: Mapping[str, Source],
        wanted: Sequence[tuple[str, ...]],
        background: Clips | None,
    ) -> None:
        """Train and score everything that the run folder lacks, one M_T after the other."""
        embedded = embed({"": model}, sources["train"], self._loop("embed"))[""]
        # First the sets that no other job has; then those that others had, in case one of them died.
        for wait in (False, True):
            for train in wanted:
                if self.world.agree(run_folder.scored(self.out, methods(self.config), [train])):
                    continue
                with run_folder.claimed(self.out, subset_name(train), self.world, wait=wait) as ours:
                    if ours:
                        trained = self._train_methods(model, embedded, sources, train, background)
                        for split in run_folder.SCORED:
                            self._score(trained, sources[split], train, split)

    def find_ceiling(self, model: Model, sources: Mapping[str, Source]) -> None:
        """Train a specialist of each modality on all labels, and write the score of each on its modality."""
        config, everything = self.config, sources["everything"]
        with run_folder.claimed(self.out, "ceiling", self.world, wait=True):
            if self.world.agree(run_folder.ceiling(self.out).exists()):
                return
            embedded = embed({"": model}, everything, self._loop("embed all labels"))[""]
            reached: dict[str, float] = {}
            for modality in model.modalities:
                folder, stage = run_folder.specialist(self.out, modality), f"specialist {modality}"
                if not self.world.agree(run_folder.finished(folder)):
                    loop = self._loop(stage, folder)
                    torch.manual_seed(loop.seed)
                    trained = specialist(
                        model, embedded, everything, modality, config.probe, config.finetune, loop
                    )
                    run_folder.save(trained, folder, self.world)
                trained, shown = load_model(folder), sources["eval"].having((modality,))
                scores = evaluate(trained, embed({"": trained}, shown, self._loop(f"evaluate {stage}"))[""])
                reached |= {modality: scores[modality]}
            if self.world.rank == 0:
                run_folder.write_json(run_folder.ceiling(self.out), reached)

    def _train_methods(
        self,
        model: Model,
        embedded: Clips,
        sources: Mapping[str, Source],
        train: tuple[str, ...],
        background: Clips | None,
    ) -> dict[str, Model]:
        """Return the models of every method for one M_T; those that the run folder lacks are trained."""
        models: dict[str, Model] = {}
        for method in methods(self.config):
            folder = run_folder.cell(self.out, method, train)
            if not self.world.agree(run_folder.finished(folder)):
                loop = self._loop(f"{method} {subset_name(train)}", folder)
                torch.manual_seed(loop.seed)  # random draws must not depend on which cells were there before
                if method == "linear_probe":
                    trained = linear_probe(model, embedded, train, self.config.probe, loop.seed)
                else:
                    trained = self._train_method(method, models, sources, train, loop, background)
                run_folder.save(trained, folder, self.world)
            models[method] = load_model(folder)
        return models

    def _train_method(
        self,
        method: str,
        models: Mapping[str, Model],
        sources: Mapping[str, Source],
        train: tuple[str, ...],
        loop: Loop,
        background: Clips | None,
    ) -> Model:
        """Return the model of a method that begins with the probe; `models` holds those of the others."""
        config, labelled, probed = self.config.finetune, sources["train"], models["linear_probe"]
        if method in AVERAGED:
            return wiseft(models[AVERAGED[method]], probed, config.alpha)
        if method == "finetune":
            return finetune(probed, labelled, train, config, loop)
        if method == "finetune_everything":
            return finetune(probed, sources["everything"], train, config, loop)
        if method == "subset":
            teacher, choosing = models["masd"], self._loop(f"choose the teacher {subset_name(train)}")
            inputs = best_inputs(teacher, train, sources["calibrate"], choosing)
            unlabelled = sources["distill"]
            return distill_subsets(
                probed, labelled, train, config, loop, unlabelled, teacher, inputs, background
            )
        if set(train) == set(probed.modalities):
            return models["finetune"]  # there is no student, and MASD is finetuning (Table 9)
        return finetune(probed, labelled, train, config, loop, sources["distill"])

    def _score(self, models: Mapping[str, Model], source: Source, train: tuple[str, ...], split: str) -> None:
        """Score the methods without a score, decoding each example once for all, and write the matrix."""
        paths = {m: run_folder.scores(run_folder.cell(self.out, m, train), split) for m in models}
        rest = {m: model for m, model in models.items() if not self.world.agree(paths[m].exists())}
        loop = self._loop(f"evaluate {subset_name(train)} on {split}")
        embedded = embed(rest, source, loop) if rest else {}
        if self.world.rank == 0:
            for method, clips in embedded.items():
                spread = intervals(rest[method], clips, self.groups[split])
                run_folder.write_json(run_folder.intervals(paths[method].parent, split), spread)
                run_folder.write_json(paths[method], evaluate(rest[method], clips))
            with run_folder.claimed(self.out, "matrix", alone(), wait=True):
                files = {"methods": run_folder.scores, "intervals": run_folder.intervals}
                found = {
                    key: run_folder.collect(self.out, methods(self.config), file(self.out, split).name)
                    for key, file in files.items()
                }
                run_folder.write_json(run_folder.matrix(self.out, split), found)

    def _loop(self, stage: str, folder: Path | None = None) -> Loop:
        seed = seeded(self.config.seed, stage).initial_seed()
        config, report = self.config, self.report(stage)
        return Loop(folder or self.out, seed, config.scale, self.world, config.augment, report)

    def report(self, stage: str) -> Progress:
        """Return the progress of one stage: that of the run on rank 0, and none elsewhere."""
        return partial(self.progress, stage) if self.world.rank == 0 else no_progress
