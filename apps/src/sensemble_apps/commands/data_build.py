"""`sensemble data build`: build the embedded digits in the user's cache folder."""

from dataclasses import dataclass
from pathlib import Path

from sensemble_apps.arguments import Common
from sensemble_apps.console.output import say
from sensemble_apps.console.progress import progress


@dataclass(frozen=True, kw_only=True)
class DataBuild(Common):
    """Build the embedded digits dataset, unless it exists, and print its folder."""

    seed: int = 0
    """The seed of the people, the splits and every rendering."""
    imu: bool = False
    """Also the motion of the wrist that writes the digit in the air, as a fourth modality, `imu`."""


def main(arguments: DataBuild) -> None:
    """Build the dataset, unless it exists, and print its folder."""
    say(str(digits(arguments.seed, imu=arguments.imu)))


def digits(seed: int, *, imu: bool = False) -> Path:
    """Return the folder of the digits drawn from `seed`; build them first if they do not exist."""
    from sensemble_train.digits.build import build, cache_folder
    from sensemble_train.digits.plan import DigitsConfig

    config = DigitsConfig(seed=seed, imu=imu)
    with progress("Building the digits dataset") as advance:
        return build(cache_folder(config), config, advance)
