"""The `sensemble` command: parses, hands over to one module of `commands`, and words what goes wrong."""

import os
import re
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import reduce
from importlib import import_module
from importlib.metadata import version
from operator import or_
from time import monotonic
from typing import Annotated, Any

import tyro
from sensemble_sensors.errors import SensembleError

from sensemble_apps import arguments
from sensemble_apps.arguments import Common
from sensemble_apps.console.output import refused, remark, say
from sensemble_apps.console.wording import words
from sensemble_apps.errors import Ended, InputError, NotInstalledError
from sensemble_apps.signals import on_stop

_EXTRA = ("sensemble_export", "sensemble_train", "torch")  # what a board does without

_DESCRIPTION = (
    "Train with every sensor you have; deploy on whichever ones are live. `--version` says which this is."
)
_DESCRIPTIONS = {
    "data": "Build the digits, prepare a published dataset, or look into one.",
    "bundle": "Vouch for a bundle with a key, or see whether one is sound.",
    "train": "Pretrain, probe, finetune and distil into a run folder, and score every set of sensors. "
    "`sensemble train matrix EXPERIMENT` runs a whole experiment of the paper, every setting a flag.",
    "export": "Quantize and lower a trained model of a run into its `bundle/`. "
    "`sensemble export verify BUNDLE` measures how close its encoders are to their originals here.",
}


def _one_of(commands: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a union of types, made from a table
    """Return the union of `commands`, for the help of them all and for what names none of them."""
    return reduce(
        or_,
        (
            Annotated[kind, tyro.conf.subcommand(name, description=_DESCRIPTIONS.get(name))]
            for name, kind in commands.items()
        ),
    )


_DATA: dict[str, Any] = {
    "build": arguments.DataBuild,
    "prepare": arguments.DataPrepare,
    "show": arguments.DataShow,
}
_BUNDLE: dict[str, Any] = {"check": arguments.BundleCheck, "sign": arguments.BundleSign}
_GROUPS = {"data": _DATA, "bundle": _BUNDLE}
_COMMANDS: dict[str, Any] = {
    "demo": arguments.Demo,
    "data": _one_of(_DATA),
    "train": arguments.Train,
    "export": arguments.Export,
    "bundle": _one_of(_BUNDLE),
    "record": arguments.Record,
    "run": arguments.Run,
    "audit": arguments.Audit,
    "history": arguments.History,
    "report": arguments.Report,
    "doctor": arguments.Doctor,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    It is 0, 1 (own failure), 2 (the user's input), or 128 and the number of the signal that stopped it: 130
    for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP.
    """
    given = sys.argv[1:] if argv is None else argv
    try:
        if list(given) == ["--version"]:
            say(f"sensemble {version('sensemble-apps')}")
            return 0
        command = _parse(given)
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(command).__name__).lower()
        # Only the chosen command is imported: most of them must neither wait for torch nor hold it.
        module = import_module(f"sensemble_apps.commands.{name}")
        on_stop(_Stop())
        module.main(command)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        if not isinstance(stop, Ended):
            remark("sensemble: interrupted")
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has enough; without this, Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the one place that words whatever went wrong
        if "--debug" in given:
            traceback.print_exc()
        error = _lacking(error) or refused(error) or error
        remark(f"sensemble: {_line(error)}")
        return 2 if isinstance(error, SensembleError) and not error.own else 1
    return 0


class _Stop:
    """Raises what closes sessions, records and recordings, at Ctrl-C as at SIGTERM and SIGHUP.

    What follows within a second is the same once more, for `timeout` signals a process and then its whole
    group, and must not break off the closing. What comes later may.
    """

    def __init__(self) -> None:
        self._last = float("-inf")

    def __call__(self, number: int, _: object) -> None:
        last, self._last = self._last, monotonic()
        if self._last - last > 1:
            raise KeyboardInterrupt(number)


def _parse(argv: Sequence[str]) -> Common:
    name = argv[0] if argv else ""
    _check_name(argv)
    _check_once(argv)
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
        kind, prog, rest, description = _one_of(_COMMANDS), "sensemble", argv, _DESCRIPTION
    command: Common = tyro.cli(
        kind, prog=prog, description=description, args=rest, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return command


def _check_name(argv: Sequence[str]) -> None:
    """Refuse a command that there is not, of which `--help` would show the help of all."""
    known, before = list(_COMMANDS), ""
    if argv and argv[0] in _GROUPS:
        known, before, argv = list(_GROUPS[argv[0]]), f"{argv[0]} ", argv[1:]
    if argv and argv[0] not in known and not argv[0].startswith("-"):
        raise InputError(f"{before}{argv[0]}: no such command; there are {words(known)}")


def _check_once(argv: Sequence[str]) -> None:
    """Refuse an option that is given twice and does not add up."""
    options = Counter(word.partition("=")[0] for word in argv if word.startswith("--"))
    for option, count in options.items():
        if count > 1 and option not in arguments.ADD_UP:
            raise InputError(f"{option}: is given {count} times; give it once")


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
