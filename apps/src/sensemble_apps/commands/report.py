"""`sensemble report`: write the page of a run, or print its metrics as JSON."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sensemble_runtime.auditing import robustness

from sensemble_apps.console.output import say, say_json, write
from sensemble_apps.errors import InputError
from sensemble_apps.options import Folder, Judging, OptionalFolder, OptionalOut, Positional, Trusting
from sensemble_apps.tables import gate_verdict
from sensemble_apps.tables.gate_verdict import Verdicts
from sensemble_apps.tables.matrices import read_matrices
from sensemble_apps.tables.run_folder import BUNDLE, COMPARISON, MATRIX, PAGE


@dataclass(frozen=True, kw_only=True)
class Report(Judging, Trusting):
    """Write the report of a run's bundle, and the page of its methods and training sets."""

    run: Positional[Folder]
    """A run folder, or any folder with a `matrix.json`."""
    out: OptionalOut = None
    """The page to write; by default, `report.html` in the run folder."""
    data: OptionalFolder = None
    """Its dataset: the page shows the surest mistakes, people's pictures and voices included."""
    json: bool = False
    """Print the metrics of each method as JSON, and write no page."""


def main(arguments: Report) -> None:
    """Write the page, or print the JSON of `docs/reference/output.md`."""
    run = arguments.run
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    if arguments.json:
        matrices = read_matrices(run / MATRIX).items()
        say_json({"methods": {method: asdict(robustness.summary(one)) for method, one in matrices}}, indent=2)
        return
    page = arguments.out or run / PAGE
    verdicts = write_page(run, page, arguments.require, arguments.trust, arguments.data)
    say(str(page))
    gate_verdict.enforce(verdicts, arguments.junit)


def write_page(
    source: Path,
    path: Path,
    require: str | None = None,
    trust: Path | None = None,
    data: Path | None = None,
) -> Verdicts:
    """Write the page of a run to `path`, and return the verdicts on what is required.

    A run with a bundle gets the report and, where it has several methods or training sets, the experiment's
    page beside it; a run without a bundle gets the experiment's page alone.
    """
    from sensemble_apps.report import experiment, run_contents, run_page  # Matplotlib takes seconds

    if (source / BUNDLE).exists():
        contents = run_contents.of_run(source, require, trust, data)
        pages = {path: run_page.render(contents, datetime.now(UTC))}
        if run_page.compares(contents.matrices):
            beside = path.with_name(COMPARISON)
            pages[beside] = experiment.render(run_contents.of_experiment(source), datetime.now(UTC))
        verdicts = contents.verdicts
    else:
        if require is not None or trust is not None:
            raise InputError(f"{source}: --require and --trust are for a run with a bundle")
        pages, verdicts = {path: experiment.render(run_contents.of_experiment(source), datetime.now(UTC))}, []
    for page, text in pages.items():
        write(page, text)
    return verdicts
