"""What is called by work that takes long, to tell how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (how much is done, how much there is)."""

Stages = Callable[[str, int, int], None]
"""Called with (what is being done, how much of it is done, how much there is)."""
