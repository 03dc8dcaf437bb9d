"""Wait for a pipe or a socket. Needs POSIX."""

import math
import select


def readable(file: int, timeout: float) -> bool:
    """Return whether a descriptor has data, an end or an error to read within `timeout` seconds."""
    poll = select.poll()  # `select` refuses descriptors above 1023
    poll.register(file, select.POLLIN)
    return bool(poll.poll(math.ceil(1000 * timeout)))
