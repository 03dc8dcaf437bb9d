"""The memory of this process."""

import re
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")  # of Linux


def memory(*, most: bool = False) -> int:
    """Return the bytes that this process holds, or has held at `most`; macOS knows the latter alone."""
    if not _STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not `ru_maxrss`, which on Linux a process inherits from its parent.
    field = "VmHWM" if most else "VmRSS"
    return 1024 * int(re.findall(rf"{field}:\s*(\d+) kB", _STATUS.read_text())[0])
