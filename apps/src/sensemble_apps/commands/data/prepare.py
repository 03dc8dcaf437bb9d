"""`sensemble data prepare`: convert a published dataset to Sensemble's data format."""

import os
from importlib import import_module

from sensemble_train.prepare.write import write

from sensemble_apps.console.output import check_writable, say
from sensemble_apps.console.progress import progress
from sensemble_apps.data_arguments import DataPrepare
from sensemble_apps.errors import InputError


def main(arguments: DataPrepare) -> None:
    """Write the dataset, and print how much of it was found.

    Raises:
        InputError: the source is not a folder, or a number is too small.
        BadDataError: the source does not hold the dataset, or some of its examples are bad.
    """
    if not arguments.source.is_dir():
        raise InputError(f"{arguments.source}: is not a folder; give the one that holds {arguments.dataset}")
    for option, number in (("--shards", arguments.shards), ("--jobs", arguments.jobs)):
        if number is not None and number < 1:
            raise InputError(f"{option} {number}: give a number above 0")
    check_writable(arguments.out)
    module = import_module(f"sensemble_train.prepare.{arguments.dataset.replace('-', '_')}")
    with progress("Looking into the media") as advance:
        report = write(
            module.survey(arguments.source, arguments.out),
            arguments.out,
            shards=arguments.shards,
            skip_bad=arguments.skip_bad,
            jobs=arguments.jobs or os.cpu_count() or 1,
            progress=advance,
        )
    for line in report.lines():
        say(line)
    say(str(arguments.out))
