"""The `sensemble` command: parse the command line, run one command, and word its errors."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from time import monotonic

from sensemble_sensors.errors import SensembleError

from sensemble_apps.console.output import refused, remark, say
from sensemble_apps.errors import Ended, GateUnmetError, NotInstalledError
from sensemble_apps.signals import on_stop

_EXTRAS = {
    "av": "media",
    "cryptography": "sign",
    "cv2": "camera",
    "ibis": "fleet",
    "jinja2": "report",
    "matplotlib": "report",
    "paho": "serve",
    "pyarrow": "fleet",
    "rerun": "rerun",
    "segno": "serve",
    "sensemble_export": "train",
    "sensemble_train": "train",
    "starlette": "serve",
    "tokenizers": "text",
    "torch": "train",
    "uvicorn": "serve",
    "websockets": "serve",
}
"""Package -> the extra that brings it, which a board may do without."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (see `docs/reference/output.md`)."""
    given = sys.argv[1:] if argv is None else argv
    try:
        if list(given) == ["--version"]:
            from importlib.metadata import version

            say(f"sensemble {version('sensemble-apps')}")
            return 0
        from sensemble_apps.parsing import command, parse  # after `--version`, which is quick

        name, arguments = parse(given)
        logging.getLogger("sensemble_sensors.supervision").setLevel(logging.ERROR)  # outputs show the events
        on_stop(_Stop())
        command(name)(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        if not isinstance(stop, Ended):
            remark("sensemble: interrupted")
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:
        # The reader of our output has enough; without this, Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the one place that words every error
        if "--debug" in given:
            traceback.print_exc()
        error = _missing_package(error) or refused(error) or error
        remark(f"sensemble: {_line(error)}")
        if isinstance(error, GateUnmetError):
            return error.status
        return 2 if isinstance(error, SensembleError) and not error.own else 1
    return 0


class _Stop:
    """Raises KeyboardInterrupt at the first signal, which closes sessions, records and recordings.

    A second signal within a second is ignored: `timeout` signals a process and then its whole group, and that
    must not break off the closing.
    """

    def __init__(self) -> None:
        self._last = float("-inf")

    def __call__(self, number: int, _: object) -> None:
        last, self._last = self._last, monotonic()
        if self._last - last > 1:
            raise KeyboardInterrupt(number)


def _missing_package(error: BaseException) -> NotInstalledError | None:
    """Return the error to show where a command needs a package of an extra."""
    while error.__cause__ is not None:
        error = error.__cause__
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if extra := _EXTRAS.get(name):
        return NotInstalledError(
            f"needs {name}, which is not installed; `pip install 'sensemble-apps[{extra}]'`"
        )
    return None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, SensembleError):
        return text
    return f"failed with {type(error).__name__}: {text}; --debug shows where"
