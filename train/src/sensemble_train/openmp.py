"""The waiting of OpenMP's threads, with which torch computes; its library reads it once, when torch loads.

GNU's threads spin while they wait for each other: fastest on a quiet machine, and ten times slower on a busy
one, where a spinning thread keeps the awaited one from its core. The number of threads is left to torch: it
changes how sums round.
"""

import os
from pathlib import Path

_LOAD = Path("/proc/loadavg")  # three means, then the threads that run now, this one among them
_SPINS = 3000  # keeps 95 % of the quiet machine's speed, and half of a sleeping thread's if it becomes busy


def set_waiting() -> None:
    """Let threads spin briefly, or sleep at once where half the cores are busy; child processes do the same.

    What the user set stays.
    """
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        busy = _load() >= (os.cpu_count() or 1) / 2
        os.environ["GOMP_SPINCOUNT"] = str(0 if busy else _SPINS)


def _load() -> float:
    """Return how many threads run: in the last minute, or now, which are fewer if work has just ended."""
    mean = os.getloadavg()[0]
    return min(mean, int(_LOAD.read_text().split()[3].partition("/")[0]) - 1) if _LOAD.exists() else mean
