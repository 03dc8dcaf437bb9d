"""The `sensemble` command: set up signals and streams, run one command, and word its errors.

Only quick modules are imported at the top: a signal may come before the others are there.
"""

import atexit
import gc
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from time import monotonic
from types import FrameType

_EXTRAS = {
    "av": "media",
    "cryptography": "sign",
    "cv2": "camera",
    "duckdb": "fleet",
    "fsspec": "fleet",
    "ibis": "fleet",
    "jinja2": "report",
    "matplotlib": "report",
    "opentelemetry": "otlp",
    "paho": "serve",
    "pyarrow": "fleet",
    "pyspark": "spark",
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
_MOMENT = 0.05  # seconds, in which the main thread begins to wait


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (see `docs/reference/output.md`)."""
    _open_closed_streams()
    _on_stop(_leave)
    atexit.register(gc.freeze)  # at its end, Python would search all of torch for garbage, for up to a second
    from sensemble_sensors.errors import SensembleError

    from sensemble_apps.console.output import refused, remark, say
    from sensemble_apps.errors import Ended, GateUnmetError

    given = sys.argv[1:] if argv is None else argv
    try:
        if list(given) == ["--version"]:
            from importlib.metadata import version

            say(f"sensemble {version('sensemble-apps')}")
            return 0
        from sensemble_apps.parsing import command, parse  # after `--version`, which is quick

        name, arguments = parse(given)
        logging.getLogger("sensemble_sensors.supervision").setLevel(logging.ERROR)  # outputs show the events
        with _Stop():
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
        shown = _missing_package(error) or refused(error) or error
        text = " ".join(str(shown).split())
        if not isinstance(shown, SensembleError):
            text = f"failed with {type(shown).__name__}: {text}; --debug shows where"
        remark(f"sensemble: {text}")
        if isinstance(shown, GateUnmetError):
            return shown.status
        return 2 if isinstance(shown, SensembleError) and not shown.own else 1
    return 0


def _open_closed_streams() -> None:
    """Open the standard streams that the shell closed (`>&-`); else another file would get their number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = os.fdopen(os.open(os.devnull, os.O_RDWR), mode)
            os.set_inheritable(stream.fileno(), True)  # also for the processes of sensors
            setattr(sys, name, stream)


def _on_stop(act: Callable[[int, FrameType | None], None]) -> None:
    """Call `act` on SIGINT (Ctrl-C), SIGTERM and SIGHUP; one that is ignored, as by `nohup`, stays so."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, act)


def _leave(number: int, _: object) -> None:
    """End at once: nothing is open yet, and an exception would surface in the middle of an import."""
    sys.stderr.write("sensemble: interrupted\n")
    os._exit(128 + number)


class _Stop:
    """Raises KeyboardInterrupt at the first signal, which closes sessions, records and recordings.

    A second signal within a second is ignored: `timeout` signals a process and then its whole group, and that
    must not break off the closing. One that meets Python's `threading` raises a moment later: a lock may
    be freed there for a wait that has not begun, and freeing it again would be a RuntimeError.
    """

    def __init__(self) -> None:
        self._last = float("-inf")
        self._late, self._over = 0, False

    def __enter__(self) -> None:
        _on_stop(self)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._over = True
        if not self._late:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)  # the alarm would kill a Python that ends
        if isinstance(error, Exception):  # as where the signal ended the command's processes first
            raise KeyboardInterrupt(self._late) from error

    def __call__(self, number: int, frame: FrameType | None) -> None:
        last, self._last = self._last, monotonic()
        if self._last - last <= 1:
            return
        if self._over or frame is None or frame.f_globals.get("__name__") != "threading":
            raise KeyboardInterrupt(number)
        self._late = number
        signal.signal(signal.SIGALRM, self._alarm)
        signal.setitimer(signal.ITIMER_REAL, _MOMENT)

    def _alarm(self, *_: object) -> None:
        number, self._late = self._late, 0
        raise KeyboardInterrupt(number)


def _missing_package(error: BaseException) -> Exception | None:
    """Return the error to show where a command needs a package of an extra."""
    from sensemble_apps.errors import NotInstalledError

    while error.__cause__ is not None:
        error = error.__cause__
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if extra := _EXTRAS.get(name):
        return NotInstalledError(
            f"needs {name}, which is not installed; `pip install 'sensemble-apps[{extra}]'`"
        )
    return None
