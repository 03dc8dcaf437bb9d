"""Waiting in tests for what another thread or process does."""

from collections.abc import Callable
from time import monotonic, sleep

PATIENCE = 180.0  # seconds: a busy machine takes long for anything


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail if it never does."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, "it never came"
        sleep(0.005)
