"""`sensemble train`: run the paper's recipe on a dataset, into a run folder."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.data.splits import check_unlabelled

from sensemble_apps.arguments import Train
from sensemble_apps.commands.data.build import digits
from sensemble_apps.console.output import check_writable, remark, say
from sensemble_apps.console.progress import stages
from sensemble_apps.errors import InputError
from sensemble_apps.runs.matrices import at_chance
from sensemble_apps.runs.run_folder import MATRIX

if TYPE_CHECKING:
    from sensemble_train.recipe.config import Config

_MAX_EFFORT = 1e6  # the greatest --effort


def main(arguments: Train) -> None:
    """Train, and print the path of the matrix.

    Raises:
        InputError, BadDataError, ConfigurationError: something given cannot be used.
    """
    check_writable(arguments.out)
    train(arguments, arguments.data or digits(arguments.seed))
    say(str(arguments.out / MATRIX))


def train(arguments: Train, data: Path) -> None:
    """Train on `data` what the run folder lacks, and warn of sensors that stay at chance.

    Raises:
        InputError, BadDataError, ConfigurationError: as `main`.
    """
    check_unlabelled(read_dataset(data))  # before torch is loaded, which takes seconds
    from sensemble_train.recipe import recipe

    with stages() as advance:
        recipe.run(_config(arguments, data), arguments.out, advance)
    for line in at_chance(arguments.out / MATRIX):
        remark(f"warning: {line}")


def _config(arguments: Train, data: Path) -> "Config":
    from sensemble_train.recipe.config import Config

    if not 0 < arguments.effort <= _MAX_EFFORT:
        raise InputError(f"--effort {arguments.effort:g}: give a number above 0, at most {_MAX_EFFORT:g}")
    config = Config(str(data.resolve()), (arguments.train_modalities,), arguments.seed)

    def scaled(steps: int) -> int:
        return max(1, round(steps * arguments.effort))

    return replace(
        config,
        pretrain=replace(config.pretrain, steps=scaled(config.pretrain.steps)),
        probe=replace(config.probe, steps=scaled(config.probe.steps)),
        finetune=replace(config.finetune, steps=scaled(config.finetune.steps)),
    )
