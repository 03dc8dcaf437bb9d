"""Estimate of how long a run will take on this machine: a few real steps of each stage are timed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Example

from sensemble_train.distributed import join
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.evaluate import embed
from sensemble_train.recipe.examples import choose, read
from sensemble_train.recipe.initialization import new_model
from sensemble_train.recipe.methods import METHODS, distill_subsets, finetune, linear_probe
from sensemble_train.recipe.planning.preflight import check
from sensemble_train.recipe.pretrain import pretrain
from sensemble_train.recipe.run_folder import SCORED
from sensemble_train.recipe.sources import backgrounds, make_sources
from sensemble_train.training.loop import Loop

_TIMED = 4  # steps of a stage; the first, which is slow, does not count


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

    Decoding, the methods of every M_T and scores are among the stages; `everything` and `ceiling` are not.
    As many examples are decoded as the largest batch has.

    Args:
        config: of the run.
        progress: called with (stage, steps done, steps in all).

    Raises:
        ConfigurationError, BadDataError: as `recipe.run`.
    """
    dataset = read(config.data, config)
    chosen = choose(config, dataset)
    wanted = check(config, dataset, chosen["train"])
    pretraining = replace(config.pretrain, steps=_TIMED)
    tuning = replace(config.finetune, steps=_TIMED)
    count = max(pretraining.batch, tuning.batch)
    few = {use: _spread(examples, count) for use, examples in chosen.items()}
    with join() as world, TemporaryDirectory() as folder:
        torch.manual_seed(config.seed)
        model, log_scale = new_model(config, dataset, world)
        began = perf_counter()
        sources = make_sources(config, model, few, lambda stage: partial(progress, stage))
        each = (perf_counter() - began) / sum(map(len, few.values()))
        found = [StageEstimate("decode", sum(map(len, chosen.values())), each)]
        strange = backgrounds(config, model, dataset, lambda stage: partial(progress, stage))
        labelled, distilled = sources["train"], sources["distill"]

        def timed(name: str, steps: int, train: Callable[[Loop], object]) -> None:
            times: list[float] = []

            def step(done: int, total: int) -> None:
                times.append(perf_counter())
                progress(name, done, total)

            train(Loop(Path(folder) / name, 0, config.scale, world, config.augment, step))
            found.append(StageEstimate(name, steps, (times[-1] - times[0]) / (len(times) - 1)))

        if steps := config.pretrain.length(len(chosen["pretrain"])):
            first = partial(pretrain, model, sources["pretrain"], pretraining)
            timed("pretrain", steps, partial(first, log_scale=log_scale, background=strange))
        began = perf_counter()
        embedded = embed({"": model}, labelled, Loop(Path(folder), 0, config.scale, world))[""]
        each = (perf_counter() - began) / len(labelled)
        steps = config.finetune.length(len(chosen["train"]))
        for train in wanted:
            probed = linear_probe(model, embedded, train, replace(config.probe, steps=_TIMED))
            title = subset_name(train)
            tune = partial(finetune, probed, labelled, train, tuning)
            timed(f"finetune {title}", steps, tune)
            if set(train) != set(model.modalities):
                timed(f"masd {title}", steps, partial(tune, unlabelled=distilled))
            distil = partial(distill_subsets, probed, labelled, train, tuning, unlabelled=distilled)
            timed(f"subset {title}", steps, partial(distil, teacher=probed, inputs=probed.modalities))
    scores = len(wanted) * len(METHODS) * sum(len(chosen[split]) for split in SCORED)
    return (*found, StageEstimate("score", scores, each))


def _spread(examples: Sequence[Example], count: int) -> Sequence[Example]:
    """Return up to `count` examples, evenly spread."""
    return examples[:: max(1, len(examples) // count)][:count]
