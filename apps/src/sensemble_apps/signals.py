"""Handle the signals that stop the command."""

import signal
from collections.abc import Callable


def on_stop(act: Callable[[int, object], None]) -> None:
    """Call `act` on SIGINT (Ctrl-C), SIGTERM and SIGHUP; one that is ignored, as by `nohup`, stays so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, act)
