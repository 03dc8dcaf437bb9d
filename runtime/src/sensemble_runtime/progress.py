"""Callables that report progress."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with (steps done, steps in all)

Stages = Callable[[str, int, int], None]  # called with (the stage's name, its steps done, its steps in all)


def no_progress(*_: object) -> None:
    """Report nothing: the default `Progress` and `Stages`."""
