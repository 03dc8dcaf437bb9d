"""Range checks of configuration fields, made when a configuration is created."""

import math

from sensemble_train.errors import ConfigurationError

MORE = math.inf  # no upper limit
SHARE = 0.0, 1.0


def bounded(config: object, section: str = "", **limits: tuple[float, float]) -> None:
    """Check that fields of `config` are in range, else raise ConfigurationError; `section` is as `probe.`."""
    for field, (least, greatest) in limits.items():
        value = getattr(config, field)
        if not least <= value <= greatest:
            within = f"from {least:g} to {greatest:g}" if greatest < MORE else f"of {least:g} or more"
            raise ConfigurationError(f"{flag(section, field)} {value:g}: give a number {within}")


def divisible(config: object, section: str, field: str, *parts: int) -> None:
    """Check that a field is a multiple of each of `parts`, else raise ConfigurationError with its flag."""
    value: int = getattr(config, field)
    if any(value % part for part in parts):
        multiple = math.lcm(*parts)
        raise ConfigurationError(f"{flag(section, field)} {value}: give a multiple of {multiple}")


def flag(section: str, field: str) -> str:
    """Return the flag of a field on the command line: `--finetune.learning-rate`."""
    return f"--{section}{field}".replace("_", "-")
