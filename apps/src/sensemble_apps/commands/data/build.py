"""`sensemble data build`: build the embedded digits in the user's cache folder."""

from pathlib import Path

from sensemble_train.digits.build import build, cache_folder
from sensemble_train.digits.plan import DigitsConfig

from sensemble_apps.console.output import say
from sensemble_apps.console.progress import progress
from sensemble_apps.data_arguments import DataBuild


def main(arguments: DataBuild) -> None:
    """Build the dataset, unless it exists, and print its folder."""
    say(str(digits(arguments.seed)))


def digits(seed: int) -> Path:
    """Return the folder of the digits drawn from `seed`; build them first, if they do not exist."""
    config = DigitsConfig(seed=seed)
    with progress("Building the digits dataset") as advance:
        return build(cache_folder(config), config, advance)
