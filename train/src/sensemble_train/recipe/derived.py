"""Lengths of training derived from a dataset: `digits` has the defaults, smaller data takes fewer steps."""

import math
from dataclasses import replace

from sensemble_sensors.media.dataset import Dataset

from sensemble_train.data.choice import having, unlabelled
from sensemble_train.recipe.config import Config

_UNLABELLED, _LABELLED = 2250, 794
"""Examples of `digits` that pretraining and finetuning see, for which the default steps are."""
_FEWEST = 20  # steps
_IMITATION = 30  # steps to imitate a teacher for one of contrastive learning


def derived(config: Config, dataset: Dataset, effort: float = 1.0) -> Config:
    """Return `config` with the steps of each stage in proportion to the root of its number of examples.

    Fewer examples are seen more often each, but take less time in all: a twentieth of the examples of
    `digits` takes a quarter of its steps. More examples than it has take as many steps as it does.
    """
    complete = len(having(unlabelled(dataset), dataset.modalities))
    labelled = len(dataset.split("train"))

    def scaled(steps: int, examples: int, usual: int) -> int:
        share = min(1.0, math.sqrt(examples / usual))
        return max(1, round(effort * max(_FEWEST, share * steps)))

    pretrain, finetune = config.pretrain, config.finetune
    steps = pretrain.steps * (_IMITATION if config.teacher else 1)
    return replace(
        config,
        pretrain=replace(pretrain, steps=scaled(steps, complete, _UNLABELLED)),
        probe=replace(config.probe, steps=scaled(config.probe.steps, 1, 1)),  # they take no time
        finetune=replace(finetune, steps=scaled(finetune.steps, labelled, _LABELLED)),
    )
