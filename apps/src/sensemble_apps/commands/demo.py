"""`sensemble demo`: all of Sensemble in six steps into a run folder; finished steps are not repeated."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.subsets import Subset
from sensemble_sensors.clock import REAL
from sensemble_sensors.media.dataset import Dataset, read_dataset

from sensemble_apps.commands.data import digits
from sensemble_apps.console.kinds import display_of
from sensemble_apps.console.output import check_writable, say
from sensemble_apps.errors import StepError
from sensemble_apps.options import Training
from sensemble_apps.tables.audits import audits
from sensemble_apps.tables.matrices import most_robust
from sensemble_apps.tables.run_folder import AUDIT, BUNDLE, CONFIG, PAGE, SELECTION, SESSION

_PLAYED = 10  # examples of the replay: two for each phase of the schedule
_SHIPPING = 40  # seconds to export, audit and report each sensor, on two quiet cores


@dataclass(frozen=True, kw_only=True)
class Demo(Training):
    """Train on three sensors, export, run while sensors come and go, and report: all in one."""

    fast: bool = False
    """Replay as fast as possible instead of in real time."""
    serve: bool = False
    """Then open the live page, on a replay that plays by itself, until Ctrl-C."""


def main(arguments: Demo) -> None:
    """Do the steps that the run folder lacks, and print the results; StepError if one of them fails."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    out = arguments.out
    check_writable(out)
    began = REAL.now()
    # Each step imports what it needs when it starts: torch alone takes seconds.
    with _step(console, 1, "The dataset"):
        data = arguments.data or digits(arguments.seed)
        dataset = read_dataset(data)
        console.print(f"  {len(dataset.examples)} examples in {data}")
    if not (out / CONFIG).exists():
        _say_time(console, arguments, data, dataset)
    with _step(console, 2, "Pretrain the encoders, train specialists, and distil them into one model"):
        from sensemble_apps.commands.train import labelled_set, train

        train(arguments, data)
        labelled = labelled_set(arguments, dataset)
    with _step(console, 3, "Export each encoder, quantized, and check it against its float original"):
        asked = None if labelled == "all" else subsets.parse(labelled)
        shipped = most_robust(out / SELECTION, train=asked)
        if _exported(out) == shipped:
            console.print("  already exported")
        else:
            from sensemble_export import export_run

            from sensemble_apps.commands.export import export

            export(out, partial(export_run, out, *shipped))
    with _step(console, 4, "Replay in a process without torch, while sensors come and go"):
        pace = ["--fast"] if arguments.fast else ["--summary", str(out / SESSION)]
        _sensemble("run", out / BUNDLE, "--replay", data, "--unplug", "--examples", str(_PLAYED), *pace)
    with _step(console, 5, "Audit the bundle with every set of sensors"):
        if audits(out).scores:
            console.print("  already audited")
        else:
            more = ["--unknown", *_conditions(dataset)]
            more += ["--sparing"] if read_manifest(out / BUNDLE / FILE_NAME).calibration.sparing else []
            _sensemble("audit", out / BUNDLE, "--data", data, "--record", out / AUDIT, *more)
    with _step(console, 6, "Report"):
        from sensemble_apps.commands.report import write_page

        write_page(out, out / PAGE)
    _summarize(console, out)
    console.print(f"\nDone in {_took(began)}. The report: {out / PAGE}", style="bold")
    if arguments.serve:
        _sensemble("serve", out / BUNDLE, "--demo")
    else:
        console.print(f"Open the live page: sensemble serve {out / BUNDLE} --demo")


def _say_time(console: Console, arguments: Demo, data: Path, dataset: Dataset) -> None:
    """Print how long a demo will take: training by a few steps, the rest by the sensors."""
    from sensemble_apps.commands.train import duration, training_time

    logging.disable(logging.WARNING)  # the training warns of the same
    try:
        training = training_time(arguments, data)
    finally:
        logging.disable(logging.NOTSET)
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    rest = _SHIPPING * busy * len(dataset.modalities)
    console.print(
        f"\nThis will take about {duration(training + rest)} on this machine, {duration(training)} of it to "
        f"train, by a few measured steps."
    )


@contextmanager
def _step(console: Console, number: int, title: str) -> Iterator[None]:
    console.print(f"\n{number}/6  {title}", style="bold")
    began = REAL.now()
    yield
    console.print(f"  done in {_took(began)}", style="dim")


def _took(began: float) -> str:
    return str(timedelta(seconds=round(REAL.now() - began)))


def _conditions(dataset: Dataset) -> list[str]:
    """Return the option to audit under a few conditions; nothing where no kind names any."""
    modalities = map(dataset.modality, dataset.modalities)
    named = [f"{m.name}={name}" for m in modalities for name in display_of(m.kind).demonstrated]
    return ["--conditions", ",".join(named)] if named else []


def _exported(run: Path) -> tuple[str, Subset] | None:
    """Return the method and the M_T of the run's bundle; None without a bundle."""
    if not (run / BUNDLE).exists():
        return None
    provenance = read_manifest(run / BUNDLE / FILE_NAME).provenance
    return provenance.method, tuple(sorted(provenance.train_modalities))


def _sensemble(*arguments: str | Path) -> None:
    """Run a command in a new process, which has neither torch nor the memory of the export."""
    command = [sys.executable, "-P", "-m", "sensemble_apps", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            say(line.rstrip("\n"))
    if process.returncode != 0:
        raise StepError(f"`sensemble {arguments[0]}` ended with status {process.returncode}")


def _summarize(console: Console, run: Path) -> None:
    """Print the report's headline: the worst loss of a sensor, and the cautions."""
    from sensemble_apps.report.first_page import headline
    from sensemble_apps.report.run_contents import of_run

    contents = of_run(run)
    shown = headline(contents)
    for loss in shown.losses[:1]:
        console.print(f"\nIf {loss.event}, {loss.sentence(contents.audit.metric)}.", style="bold")
    for caution in filter(None, (shown.mute, *shown.cautions)):
        console.print(caution, style="yellow")
