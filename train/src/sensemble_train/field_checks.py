"""Bounds of configuration fields, checked when a configuration is created."""

import math
from typing import Annotated, get_origin, get_type_hints

from sensemble_sensors.strict_json import MORE, DecodeError, decode

from sensemble_train.errors import ConfigurationError

Amount = Annotated[float, (0, MORE)]
Size = Annotated[int, (1, MORE)]


def check(config: object, section: str = "") -> None:
    """Check the fields that have bounds, else raise ConfigurationError; `section` is as `probe.`."""
    for field, hint in get_type_hints(type(config), include_extras=True).items():
        if get_origin(hint) is Annotated:
            try:
                decode(hint, getattr(config, field), _flag(section, field))
            except DecodeError as error:
                raise ConfigurationError(str(error)) from error


def divisible(config: object, section: str, field: str, *parts: int) -> None:
    """Check that a field is a multiple of each of `parts`, else raise ConfigurationError with its flag."""
    value: int = getattr(config, field)
    if any(value % part for part in parts):
        multiple = math.lcm(*parts)
        raise ConfigurationError(f"{_flag(section, field)}: expected a multiple of {multiple}, got {value}")


def _flag(section: str, field: str) -> str:
    return f"--{section}{field}".replace("_", "-")
