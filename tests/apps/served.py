"""The commands that serve a page, run as a user runs them."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.waiting import PATIENCE

from .conftest import Started
from .http_client import ServedPage


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
    return ServedPage(port=urlsplit(address).port or 0).wait(true)
