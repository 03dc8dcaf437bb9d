"""The examples of an experiment by their use (paper, Sec. 3.1, 5 and 6.2); as `recipe.examples`."""

from collections.abc import Sequence

import torch
from sensemble_runtime.subsets import Subset
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.batching import seeded
from sensemble_train.data.choice import having, unlabelled
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import RANDOM, Experiment
from sensemble_train.recipe import examples


def choose(config: Experiment, dataset: Dataset) -> dict[str, Sequence[Example]]:
    """Return the examples by their use, as `recipe.examples.choose`, and `distill`, if D_SD has its own."""
    chosen = examples.choose(dataset)
    train, every = chosen["train"], dataset.modalities
    if config.distill_data:
        chosen["distill"] = examples.without_labels(_of_another_dataset(config, every))
    elif config.held_out:
        order = torch.randperm(len(train), generator=seeded(config.seed, "held out")).tolist()
        count = round(config.held_out * len(train))
        chosen["train"] = [train[row] for row in order[count:]]
        chosen["distill"] = examples.without_labels([train[row] for row in order[:count]])
        complete = len(having(chosen["distill"], every))
        if complete < 2:
            raise ConfigurationError(
                f"--held-out {config.held_out:g}: {complete} of the {count} examples held out have all of "
                f"{subset_name(every)}; distillation takes two, hold out more or add some"
            )
    return chosen


def check(config: Experiment, dataset: Dataset, train: Sequence[Example]) -> list[Subset]:
    """Return the sets M_T; as `recipe.examples.check`, but raises for untrained encoders, too."""
    _check_initialize(config)
    return examples.check(config, dataset, train, from_scratch=config.from_scratch)


def _of_another_dataset(config: Experiment, every: Sequence[str]) -> list[Example]:
    """Draw D_SD from the unlabelled examples of `distill_data` that have all modalities (Sec. 5)."""
    complete = having(unlabelled(examples.read(config.distill_data, skip_bad=config.skip_bad)), every)
    if len(complete) < 2:
        raise ConfigurationError(
            f"--distill-data {config.distill_data}: {len(complete)} unlabelled examples have all of "
            f"{subset_name(every)}; distillation takes two, choose another"
        )
    order = torch.randperm(len(complete), generator=seeded(config.seed, "distill"))
    return [complete[row] for row in order[: config.distill].tolist()]


def _check_initialize(config: Experiment) -> None:
    """Refuse to probe and finetune untrained encoders, unless the configuration asks for it."""
    nothing = not (config.pretrain.steps or config.pretrain.epochs)
    if config.initialize or not (nothing or config.model.name == "clip_b16"):
        return
    why = "this run pretrains nothing" if nothing else "clip_b16 starts from CLIP's weights (App. D)"
    what = "OpenAI's ViT-B-16.pt or the pretrained/ of a run"
    if config.model.name != "clip_b16":
        what = "the pretrained/ of a run"
    raise ConfigurationError(f"--initialize: {why}; give {what}, or `{RANDOM}` to train from scratch")
