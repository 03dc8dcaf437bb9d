"""Wait for a pipe or a socket. Needs POSIX."""

import math
import select


def readable(file: int, timeout: float) -> bool:
    """Return whether a descriptor has something to read, or an end or an error to tell, within `timeout` s.

    By `poll`, for `select` refuses descriptors from 1024 on, which a process with many files has.
    """
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(math.ceil(1000 * timeout)))
