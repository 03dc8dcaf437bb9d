"""Estimate of how long a run will take on this machine: a few real steps of each stage are timed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import Subset
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Example

from sensemble_train.distributed import join
from sensemble_train.models.model import Model
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.evaluate import embed
from sensemble_train.recipe.examples import choose, read
from sensemble_train.recipe.initialization import new_model
from sensemble_train.recipe.methods import Start, distill_subsets, finetune, linear_probe, masd
from sensemble_train.recipe.planning.preflight import check
from sensemble_train.recipe.pretrain import pretrain
from sensemble_train.recipe.run_folder import SCORED
from sensemble_train.recipe.sources import backgrounds, make_sources
from sensemble_train.training.loop import Loop

_TIMED = 4  # steps of a stage


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """The time that a stage will take.

    Attributes:
        name: of the stage.
        steps: optimizer steps, or examples.
        step_seconds: seconds for each.
    """

    name: str
    steps: int
    step_seconds: float

    @property
    def seconds(self) -> float:
        """Seconds for all steps."""
        return self.steps * self.step_seconds


def estimate(config: Config, progress: Stages = no_progress) -> tuple[StageEstimate, ...]:
    """Time a few real steps of each stage of a run, and extrapolate; nothing is kept.

    Decoding and scores are among the stages; the rows of `experiments.matrix` that do not ship are not.
    As many examples are decoded as the largest batch has.
    """
    dataset = read(config.data, config)
    chosen = choose(config, dataset)
    train_sets = check(config, dataset, chosen["train"])
    count = max(config.pretrain.batch, config.finetune.batch)
    few = {use: _spread(examples, count) for use, examples in chosen.items()}
    with join() as world, TemporaryDirectory() as folder:
        torch.manual_seed(config.seed)
        model, log_scale = new_model(config, dataset, world)
        began = perf_counter()
        sources = make_sources(config, model, few, lambda stage: partial(progress, stage))
        decoding = (perf_counter() - began) / sum(map(len, few.values()))
        background = backgrounds(config, model, dataset, lambda stage: partial(progress, stage))
        found = [StageEstimate("decode", sum(map(len, chosen.values())), decoding)]

        def timed(name: str, steps: int, run: Callable[[Loop], object]) -> None:
            watch = _Watch(partial(progress, name))
            run(Loop(Path(folder) / name, 0, config.scale, world, config.augment, watch))
            found.append(StageEstimate(name, steps, watch.each))

        if steps := config.pretrain.length(len(chosen["pretrain"])):
            first = partial(pretrain, model, sources["pretrain"], replace(config.pretrain, steps=_TIMED))
            timed("pretrain", steps, partial(first, log_scale=log_scale, background=background))
        began = perf_counter()
        embedded = embed({"": model}, sources["train"], Loop(Path(folder), 0, config.scale, world))[""]
        scoring = (perf_counter() - began) / len(sources["train"])
        tuning, labelled = replace(config.finetune, steps=_TIMED), sources["train"]
        steps = config.finetune.length(len(chosen["train"]))
        probed = linear_probe(model, embedded, model.modalities, replace(config.probe, steps=_TIMED))

        def time_method(name: str, train: Subset, method: Callable[[Start], Model]) -> None:
            timed(name, steps, lambda loop: method(Start(probed, labelled, train, tuning, loop)))

        for train in train_sets:
            named, unlabelled = subset_name(train), sources["distill"]
            if train == model.modalities:
                for m in train:
                    time_method(f"specialist {m}", (m,), finetune)
            else:
                time_method(f"masd {named}", train, partial(masd, unlabelled=unlabelled))
            time_method(
                f"subset {named}",
                train,
                partial(
                    distill_subsets,
                    unlabelled=unlabelled,
                    teacher=probed,
                    background=background,
                ),
            )
    scores = len(train_sets) * sum(len(chosen[split]) for split in SCORED)
    return (*found, StageEstimate("score", scores, scoring))


class _Watch:
    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress
        self._times: list[float] = []

    @property
    def each(self) -> float:
        """Seconds a step; the first, which is slow, does not count."""
        return (self._times[-1] - self._times[0]) / (len(self._times) - 1)

    def __call__(self, done: int, total: int) -> None:
        self._times.append(perf_counter())
        self._progress(done, total)


def _spread(examples: Sequence[Example], count: int) -> Sequence[Example]:
    return examples[:: max(1, len(examples) // count)][:count]
