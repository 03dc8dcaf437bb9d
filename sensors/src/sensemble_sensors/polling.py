"""Wait for a pipe or a socket. Needs POSIX."""

import math
import select


def readable(file: int, timeout: float) -> bool:
    """Return whether a descriptor has data, an end or an error to read within `timeout` seconds."""
    return _ready(file, select.POLLIN, timeout)


def writable(file: int, timeout: float) -> bool:
    """Return whether a descriptor takes data, or has an error, within `timeout` seconds."""
    return _ready(file, select.POLLOUT, timeout)


def _ready(file: int, event: int, timeout: float) -> bool:
    poll = select.poll()  # `select` refuses descriptors above 1023
    poll.register(file, event)
    return bool(poll.poll(math.ceil(1000 * timeout)))
