"""The `sensemble` command: parses, hands over to one module of `commands`, and words what goes wrong."""

import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated, Any

import tyro
from sensemble_sensors.errors import SensembleError

from sensemble_apps import arguments
from sensemble_apps.arguments import Common
from sensemble_apps.errors import NotInstalledError
from sensemble_apps.output import remark

_EXTRA = ("sensemble_export", "sensemble_train", "torch")  # what a board does without

_DATA = (
    Annotated[arguments.DataBuild, tyro.conf.subcommand("build")]
    | Annotated[arguments.DataPrepare, tyro.conf.subcommand("prepare")]
    | Annotated[arguments.DataShow, tyro.conf.subcommand("show")]
)
_COMMANDS: dict[str, Any] = {
    "demo": arguments.Demo,
    "data": _DATA,
    "train": arguments.Train,
    "export": arguments.Export,
    "record": arguments.Record,
    "run": arguments.Run,
    "audit": arguments.Audit,
    "history": arguments.History,
    "report": arguments.Report,
    "doctor": arguments.Doctor,
}
_DESCRIPTION = "Train with every sensor you have; deploy on whichever ones are live."
_DESCRIPTIONS = {"data": "Build the digits, prepare a published dataset, or look into one."}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    It is 0, 1 (own failure), 2 (the user's input), or 128 and the number of the signal that stopped it: 130
    for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    given = sys.argv[1:] if argv is None else argv
    try:
        _stop_as_by_ctrl_c()
        command = _parse(given)
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(command).__name__).lower()
        # Only the chosen command is imported: most of them must neither wait for torch nor hold it.
        import_module(f"sensemble_apps.commands.{name}").main(command)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        remark("sensemble: interrupted")
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has enough; without this, Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the one place that words whatever went wrong
        if "--debug" in given:
            traceback.print_exc()
        error = _lacking(error) or error
        remark(f"sensemble: {_line(error)}")
        return 2 if isinstance(error, SensembleError) and not error.own else 1
    return 0


def _stop_as_by_ctrl_c() -> None:
    """Let SIGTERM and SIGHUP close sessions, records and recordings, as Ctrl-C does; `nohup` still holds."""

    def stop(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has only one of them
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, stop)


def _parse(argv: Sequence[str]) -> Common:
    name = argv[0] if argv else ""
    if list(argv[:2]) == ["train", "matrix"]:
        from sensemble_apps.commands import train_matrix  # its fields are those of training, torch and all

        return train_matrix.parse(argv[2:])
    if name in _COMMANDS:
        # Looking at one command alone saves a quarter of a second, and `run` shall predict within one.
        kind, prog, rest = _COMMANDS[name], f"sensemble {name}", argv[1:]
        description = _DESCRIPTIONS.get(name)
        if list(argv[:2]) == ["export", "verify"]:  # a run of that name is written `./verify`
            kind, prog, rest = arguments.ExportVerify, "sensemble export verify", argv[2:]
    else:
        kind, prog, rest, description = _every(), "sensemble", argv, _DESCRIPTION
    command: Common = tyro.cli(
        kind, prog=prog, description=description, args=rest, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return command


def _every() -> Any:  # noqa: ANN401 - a union of types, made from the table
    """Return the union of all commands, for the help of the whole and for what names none of them."""
    return reduce(
        or_,
        (
            Annotated[kind, tyro.conf.subcommand(name, description=_DESCRIPTIONS.get(name))]
            for name, kind in _COMMANDS.items()
        ),
    )


def _lacking(error: Exception) -> NotInstalledError | None:
    """Return what to say where a command needs what was not installed with it."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if name not in _EXTRA:
        return None
    return NotInstalledError(f"needs {name}, which is not installed; `pip install 'sensemble-apps[train]'`")


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, SensembleError):
        return text
    return f"failed with {type(error).__name__}: {text}; --debug shows where"
