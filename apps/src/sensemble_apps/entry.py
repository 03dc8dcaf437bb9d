"""Where `sensemble` begins: what holds from the first moment on, before the imports that take a while."""

import os
import sys

from sensemble_apps.signals import on_stop


def main() -> int:
    """Run the command that was given; see `cli.main`."""
    _open_what_is_closed()
    on_stop(_leave)
    from sensemble_apps import cli

    return cli.main()


def _leave(number: int, _: object) -> None:
    """End at once: nothing is open yet, and an exception would come out of whatever is being imported."""
    sys.stderr.write("sensemble: interrupted\n")
    os._exit(128 + number)


def _open_what_is_closed() -> None:
    """Open the standard streams that the shell closed (`>&-`), or a file of ours would get their number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, os.O_RDWR), mode)
            os.set_inheritable(stream.fileno(), True)  # in the processes of sensors, too
            setattr(sys, name, stream)
