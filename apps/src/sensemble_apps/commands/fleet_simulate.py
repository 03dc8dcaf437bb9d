"""`sensemble fleet simulate`: heartbeats of devices with stated faults."""

from dataclasses import dataclass
from typing import Annotated

from pyarrow import parquet
from sensemble_runtime import subsets
from sensemble_runtime.auditing.recorded import check_whole, complete_audits

from sensemble_apps.console.output import say
from sensemble_apps.console.wording import percent
from sensemble_apps.errors import InputError
from sensemble_apps.options import Common, File, Folder, Positional, Seed, Texts
from sensemble_apps.tables.fleet_simulation import SimulatedFleet


@dataclass(frozen=True, kw_only=True)
class Simulate(Common):
    """Write heartbeats of devices with stated faults, and print the accuracy that made them."""

    folder: Positional[Folder]
    """The folder for a Parquet file of each device."""
    audit: File
    """A record with the audit of a bundle; its scores are the true accuracies."""
    fault: Annotated[Texts, "SENSOR=KIND:SHARE"] = ()
    """A fault and the mean share of the time that it takes a modality away, such as `video=lost:0.05`."""
    devices: int = 20
    """The number of devices."""
    hours: int = 168
    """The hours of each device."""
    seed: Seed = 0
    """The seed."""


def main(arguments: Simulate) -> None:
    """Write the files and print the truth."""
    audited = complete_audits(arguments.audit)[-1]
    check_whole(arguments.audit, audited)
    if min(arguments.devices, arguments.hours) < 1:
        raise InputError("--devices and --hours: give 1 or more")
    accuracy = {live: score.accuracy for live, score in audited.scores.items()}
    sensors = sorted({m for live in accuracy for m in subsets.parse(live)})
    if missing := {subsets.name(s) for s in subsets.subsets(sensors)} - accuracy.keys():
        raise InputError(
            f"{arguments.audit}: has no score of {min(missing)}; simulate a bundle of few sensors"
        )
    faults = dict(_fault(text, sensors) for text in arguments.fault)
    fleet = SimulatedFleet(audited.bundle, accuracy, faults, arguments.devices, arguments.hours)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if any(arguments.folder.rglob("*.parquet")):  # of a larger fleet, more devices would stay
        raise InputError(
            f"{arguments.folder}: holds *.parquet, which `fleet` would add up; give an empty folder"
        )
    for place, rows in enumerate(fleet.heartbeats(arguments.seed)):
        parquet.write_table(rows, arguments.folder / f"device-{place}.parquet")
    say(f"{arguments.folder}: expected accuracy {percent(fleet.truth)} %")


def _fault(text: str, sensors: list[str]) -> tuple[str, tuple[str, float]]:
    sensor, _, rest = text.partition("=")
    kind, _, share = rest.rpartition(":")
    try:
        away = float(share)
    except ValueError:
        away = -1.0
    if sensor not in sensors or not kind or not 0 <= away < 1:
        raise InputError(f"--fault {text}: give SENSOR=KIND:SHARE, such as {sensors[0]}=lost:0.05")
    return sensor, (kind, away)
