"""The table of commands: the arguments and the module of each."""

from dataclasses import dataclass

from sensemble_apps import arguments
from sensemble_apps.arguments import Common
from sensemble_apps.bundle_arguments import Adapting, BundleCheck, BundleSign
from sensemble_apps.data_arguments import DataBuild, DataPrepare, DataShow, DataSplit
from sensemble_apps.serve_arguments import Serve, Studio

_COMMANDS = "sensemble_apps.commands"


@dataclass(frozen=True, slots=True)
class Command:
    """A command.

    Attributes:
        arguments: the class that its arguments are parsed into; None where the module parses them itself,
            with a function `parse`, for their classes import torch.
        module: the module that runs it, with a function `main`.
        description: its line in the help; None for the first line of the class.
    """

    arguments: type[Common] | None
    module: str
    description: str | None = None


COMMANDS = {
    "demo": Command(arguments.Demo, f"{_COMMANDS}.demo"),
    "data build": Command(DataBuild, f"{_COMMANDS}.data.build"),
    "data prepare": Command(DataPrepare, f"{_COMMANDS}.data.prepare"),
    "data show": Command(DataShow, f"{_COMMANDS}.data.show"),
    "data split": Command(DataSplit, f"{_COMMANDS}.data.split"),
    "train": Command(
        arguments.Train,
        f"{_COMMANDS}.training.train",
        "Pretrain, train specialists and distil them into one model, and score every set of sensors. "
        "`sensemble train matrix EXPERIMENT` runs a whole experiment of the paper, every setting a flag.",
    ),
    "train matrix": Command(None, f"{_COMMANDS}.training.matrix"),
    "export": Command(
        arguments.Export,
        f"{_COMMANDS}.export",
        "Quantize and lower a trained model of a run into its `bundle/`. `sensemble export verify BUNDLE` "
        "measures how close its encoders are to their originals on this machine.",
    ),
    "export verify": Command(arguments.ExportVerify, f"{_COMMANDS}.export_verify"),
    "bundle check": Command(BundleCheck, f"{_COMMANDS}.bundle.check"),
    "bundle sign": Command(BundleSign, f"{_COMMANDS}.bundle.sign"),
    "record": Command(arguments.Record, f"{_COMMANDS}.record"),
    "run": Command(arguments.Run, f"{_COMMANDS}.run"),
    "serve": Command(Serve, f"{_COMMANDS}.pages.serve"),
    "studio": Command(Studio, f"{_COMMANDS}.pages.studio"),
    "adapt": Command(Adapting, f"{_COMMANDS}.bundle.adapt"),
    "audit": Command(arguments.Audit, f"{_COMMANDS}.audit"),
    "history": Command(arguments.History, f"{_COMMANDS}.history"),
    "report": Command(arguments.Report, f"{_COMMANDS}.report"),
    "doctor": Command(arguments.Doctor, f"{_COMMANDS}.doctor"),
}
"""Every command by its name of one or two words, in the order of the help."""

GROUPS = {
    "data": "Build the digits, prepare a published dataset, inspect or divide one.",
    "bundle": "Sign a bundle with a key, or check whether one is sound.",
}
"""The first words that are no command on their own, each with its line in the help."""
