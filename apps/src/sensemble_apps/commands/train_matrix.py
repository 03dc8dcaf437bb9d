"""`sensemble train matrix`: train every cell of one of the paper's experiments, and write its page."""

import os
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Self

from filelock import FileLock
from sensemble_train.experiments import matrix
from sensemble_train.experiments.config import Experiment, read_experiment
from sensemble_train.experiments.presets import EXPERIMENTS

from sensemble_apps.commands.data import digits
from sensemble_apps.commands.report import write_page
from sensemble_apps.console.output import check_writable, remark, say
from sensemble_apps.console.progress import stages
from sensemble_apps.errors import InputError
from sensemble_apps.options import Common, Folder, Inline
from sensemble_apps.parsing import read
from sensemble_apps.tables.matrices import chance_warnings
from sensemble_apps.tables.run_folder import MATRIX, PAGE

_HELP = """usage: sensemble train matrix EXPERIMENT|CONFIG.JSON --out FOLDER [--FIELD VALUE ...]

Train every method for every M_T of an experiment, score each on every M_E, and write the page.
CONFIG.JSON is a run's. `sensemble train matrix EXPERIMENT --help` lists all fields and their values.

experiments:
"""


@dataclass(frozen=True, kw_only=True)
class TrainMatrix(Common):
    """Train every method for every M_T of an experiment, score each on every M_E, and write the page.

    An interrupted run continues when it is started again. Several jobs on one run folder share its sets M_T.
    Started as `torchrun --nproc-per-node N -m sensemble_apps ...`, the ranks share each batch.
    """

    config: Inline[Experiment]
    out: Folder
    """The run folder."""

    @classmethod
    def parse(cls, argv: Sequence[str]) -> Self:
        """Read the command line: the name of an experiment or a `config.json`, then the fields to change."""
        chosen = argv[0] if argv else ""
        if chosen in EXPERIMENTS:
            config = EXPERIMENTS[chosen]("")
        elif Path(chosen).is_file():
            config = read_experiment(Path(chosen))
        elif chosen in {"-h", "--help"}:
            lines = {name: (make.__doc__ or "").splitlines()[0] for name, make in EXPERIMENTS.items()}
            say(_HELP + "".join(f"  {name:22}{line}\n" for name, line in lines.items()))
            raise SystemExit(0)
        else:
            given = f"train matrix {chosen}".rstrip()
            missing = "there is no such file; " if chosen.endswith(".json") else ""
            raise InputError(
                f"{given}: {missing}name an experiment ({', '.join(EXPERIMENTS)}) or a run's config.json"
            )
        default = cls(config=config, out=MISSING)  # type: ignore[arg-type]
        return read(cls, f"sensemble train matrix {chosen}", argv[1:], default)


def main(arguments: TrainMatrix) -> None:
    """Train what the run folder lacks, write the page, and print its path."""
    config = arguments.config
    if not config.data and config.model.name != "small":
        raise InputError("--data: name the folder of the dataset (`sensemble data prepare` makes one)")
    check_writable(arguments.out)
    data = Path(config.data) if config.data else digits(config.seed)
    with stages() as advance:
        matrix.run(_absolute(config, data), arguments.out, advance)
    if int(os.environ.get("RANK", "0")) == 0:  # only one of the ranks of `torchrun`
        for line in chance_warnings(arguments.out / MATRIX):
            remark(f"warning: {line}")
        say(str(arguments.out / MATRIX))
        with FileLock(arguments.out / "locks" / f"{PAGE}.lock"):  # jobs that share the work end together
            write_page(arguments.out, arguments.out / PAGE)
        say(str(arguments.out / PAGE))


def _absolute(config: Experiment, data: Path) -> Experiment:
    """Return `config` with absolute paths, so that its `config.json` means the same in every folder."""

    def absolute(path: str) -> str:
        return str(Path(path).resolve()) if path else ""

    return replace(
        config,
        data=str(data.resolve()),
        initialize=config.initialize if config.from_scratch else absolute(config.initialize),
        merges=absolute(config.merges),
        distill_data=absolute(config.distill_data),
    )
