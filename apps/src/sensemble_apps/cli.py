"""The `sensemble` command: parses, hands over to one module of `commands`, and words what goes wrong."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import tyro
from sensemble_export.errors import ExportError, MeasurementError, NotLowerableError, ParityFailedError
from sensemble_runtime.errors import EncoderError, SensembleRuntimeError
from sensemble_sensors.errors import SensorsError
from sensemble_train.errors import TrainError

from sensemble_apps import arguments
from sensemble_apps.arguments import Common
from sensemble_apps.errors import AppsError, StepError

_KNOWN = (AppsError, ExportError, SensembleRuntimeError, SensorsError, TrainError)
_OWN_FAILURES = (StepError, EncoderError, MeasurementError, NotLowerableError, ParityFailedError)

_DATA = (
    Annotated[arguments.DataBuild, tyro.conf.subcommand("build")]
    | Annotated[arguments.DataShow, tyro.conf.subcommand("show")]
)
_COMMANDS = (
    Annotated[arguments.Demo, tyro.conf.subcommand("demo")]
    | Annotated[_DATA, tyro.conf.subcommand("data", description="Build the digits, or look into a dataset.")]
    | Annotated[arguments.Train, tyro.conf.subcommand("train")]
    | Annotated[arguments.Export, tyro.conf.subcommand("export")]
    | Annotated[arguments.Run, tyro.conf.subcommand("run")]
    | Annotated[arguments.Audit, tyro.conf.subcommand("audit")]
    | Annotated[arguments.Report, tyro.conf.subcommand("report")]
    | Annotated[arguments.Doctor, tyro.conf.subcommand("doctor")]
)
_MODULES: dict[type[Common], str] = {
    arguments.Demo: "demo",
    arguments.DataBuild: "data_build",
    arguments.DataShow: "data_show",
    arguments.Train: "train",
    arguments.Export: "export",
    arguments.Run: "run",
    arguments.Audit: "audit",
    arguments.Report: "report",
    arguments.Doctor: "doctor",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 (own failure), 2 (the user's input), 130 (Ctrl-C)."""
    command: Common = tyro.cli(
        _COMMANDS,
        prog="sensemble",
        description="Train with every sensor you have; deploy on whichever ones are live.",
        args=argv,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    # Only the chosen command is imported: most of them must neither wait for torch nor hold it.
    module = import_module(f"sensemble_apps.commands.{_MODULES[type(command)]}")
    try:
        module.main(command)
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.stderr.write("sensemble: interrupted\n")
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough; without this, Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the one place that words whatever went wrong
        if command.debug:
            traceback.print_exc()
        sys.stderr.write(f"sensemble: {_line(error)}\n")
        return 2 if isinstance(error, _KNOWN) and not isinstance(error, _OWN_FAILURES) else 1
    return 0


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, _KNOWN):
        return text
    return f"failed with {type(error).__name__}: {text}; --debug shows where"
