"""Handle the signals that stop the command."""

import signal
from collections.abc import Callable


def on_stop(act: Callable[[int, object], None]) -> None:
    """Let SIGINT (Ctrl-C), SIGTERM and SIGHUP call `act`; what is ignored, as by `nohup`, still is."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows lacks the last
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, act)
