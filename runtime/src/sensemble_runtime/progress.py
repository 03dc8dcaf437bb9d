"""Callables that report progress."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

Stages = Callable[[str, int, int], None]
"""Called with (the stage's name, its steps done, its steps in all)."""


def no_progress(*_: object) -> None:
    """Report nothing: the default `Progress` and `Stages`."""
