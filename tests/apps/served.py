"""The commands that serve a page, run as a user runs them."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from tests.waiting import PATIENCE

from .conftest import Started
from .http_client import ask


@contextmanager
def running(command: str, *arguments: str | Path) -> Iterator[tuple[Started, str]]:
    """Run `serve` or `studio` on a free port; give the process and the address that it prints."""
    with Started(command, *arguments, "--port", "0") as process:
        line = process.stdout.readline()
        found = re.search(r"^the (?:live page|studio): (\S+) ", line)
        assert found, line + process.stderr.read()
        try:
            yield process, found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)


def wait_for_state(address: str, true: Callable[[Any], Any] = bool) -> Any:  # noqa: ANN401 - JSON
    """Ask the page at an address for its state until something is true of it; give that state."""
    until = monotonic() + PATIENCE
    while monotonic() < until:
        if true(state := json.loads(ask(urlsplit(address).port or 0, "/api/state")[2])):
            return state
        time.sleep(0.1)
    raise AssertionError(state)
