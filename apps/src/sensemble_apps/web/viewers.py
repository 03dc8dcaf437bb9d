"""The viewers of a page, who are woken by each change."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

EVERY = 0.1  # seconds between two states of a viewer, at least
LONGEST = 1.0  # seconds between two states of a viewer, at most


class Viewers:
    """Counts the viewers, and wakes them, from any thread."""

    def __init__(self) -> None:
        self._loops: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    def __len__(self) -> int:
        return len(self._loops)

    def wake(self) -> None:
        """Say that the page has changed."""
        for changed, loop in tuple(self._loops.items()):
            if not changed.is_set():
                with suppress(RuntimeError):  # the server has just ended
                    loop.call_soon_threadsafe(changed.set)

    @contextmanager
    def watching(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set by each change while the block runs, in an event loop."""
        changed = asyncio.Event()
        self._loops[changed] = asyncio.get_running_loop()
        try:
            yield changed
        finally:
            del self._loops[changed]


async def wait_for(changed: asyncio.Event) -> None:
    """Wait until the page has changed since the last call, for `EVERY` at least and `LONGEST` at most."""
    await asyncio.sleep(EVERY)
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST - EVERY):
            await changed.wait()
    changed.clear()
