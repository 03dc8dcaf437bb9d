"""Run a command of `sensemble` that is stopped when its standard input ends.

`python -m sensemble_apps.studio.tethered COMMAND ...`
"""

import os
import signal
import sys
from runpy import run_module
from threading import Thread


def _stop_at_the_end() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_stop_at_the_end, daemon=True).start()
    run_module("sensemble_apps", run_name="__main__")
