"""The entry point of `sensemble`: set up signals and streams before the imports, which take a while."""

import os
import sys

from sensemble_apps.signals import on_stop


def main() -> int:
    """Run the command; see `cli.main`."""
    _open_closed_streams()
    on_stop(_leave)
    from sensemble_apps import cli

    return cli.main()


def _leave(number: int, _: object) -> None:
    """End at once: nothing is open yet, and an exception would surface in the middle of an import."""
    sys.stderr.write("sensemble: interrupted\n")
    os._exit(128 + number)


def _open_closed_streams() -> None:
    """Open the standard streams that the shell closed (`>&-`); else another file would get their number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, os.O_RDWR), mode)
            os.set_inheritable(stream.fileno(), True)  # also for the processes of sensors
            setattr(sys, name, stream)
