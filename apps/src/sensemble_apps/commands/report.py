"""`sensemble report`: write the page of a run or of an experiment, or print a matrix's metrics as JSON."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from sensemble_runtime.auditing import robustness
from sensemble_runtime.auditing.gate import Judgement

from sensemble_apps.arguments import Common, OptionalFile, Positional
from sensemble_apps.console.output import say, say_json, writing
from sensemble_apps.errors import InputError
from sensemble_apps.runs import gate_verdict
from sensemble_apps.runs.matrices import read_matrices
from sensemble_apps.runs.run_folder import BUNDLE, COMPARISON, MATRIX, PAGE


@dataclass(frozen=True, kw_only=True)
class Report(Common):
    """Write the page of a run, of a matrix, or of several pretrainings of one experiment."""

    run: Positional[Annotated[Path | None, "RUN"]] = None
    """A run folder, or a folder of run folders, one per pretraining."""
    matrix: OptionalFile = None
    """A matrix file, instead of a run folder."""
    out: OptionalFile = None
    """The page to write; by default, `report.html` in the run folder or, for a matrix, here."""
    require: Annotated[str | None, "CRITERIA"] = None
    """Judge the last audit of a run, as `audit --require` does, and say so on the page."""
    json: bool = False
    """Print the metrics of each method as JSON, and write no page."""


def main(arguments: Report) -> None:
    """Write the page, or print the JSON of `docs/reference/output.md`."""
    source = _source(arguments)
    if arguments.json:
        matrices = read_matrices(source / MATRIX if source.is_dir() else source)
        summaries = {method: asdict(robustness.summary(matrix)) for method, matrix in matrices.items()}
        say_json({"methods": summaries}, indent=2)
    else:
        folder = source if source.is_dir() else Path()
        page = arguments.out or folder / PAGE
        judged = _write(source, page, arguments.require)
        say(str(page))
        gate_verdict.enforce(judged)


def write_page(source: Path, path: Path) -> Path:
    """Write the page of `source` to `path`, and return `path`.

    A run with a bundle gets the report and, where it has several methods or training sets, the experiment's
    page beside it. A matrix, a run without a bundle, and a folder of runs, one per pretraining, get the
    experiment's page alone.
    """
    _write(source, path)
    return path


def _write(source: Path, path: Path, require: str | None = None) -> list[Judgement]:
    """Write a page; return the judgements of what is required."""
    from sensemble_apps.pages import evidence, experiment, report  # Matplotlib takes seconds; JSON needs none

    if (source / BUNDLE).exists():
        contents = evidence.of_run(source, require)
        pages = {path: report.render(contents, datetime.now(UTC))}
        if report.compares(contents.matrices):
            beside = path.with_name(COMPARISON)
            pages[beside] = experiment.render(evidence.of_experiment(source), datetime.now(UTC))
        judgements = [judgement for judgement, _ in contents.verdicts]
    else:
        if require is not None:
            raise InputError(f"{source}: --require judges the audit of a run with a bundle")
        measured = evidence.of_experiment(source) if source.is_dir() else evidence.of_matrix(source)
        pages, judgements = {path: experiment.render(measured, datetime.now(UTC))}, []
    for page, text in pages.items():
        with writing(page) as partial:
            partial.write_text(text, encoding="utf-8")
    return judgements


def _source(arguments: Report) -> Path:
    given = [path for path in (arguments.run, arguments.matrix) if path is not None]
    if len(given) != 1:
        raise InputError("give a run folder or --matrix FILE, and not both")
    if arguments.run is not None and not arguments.run.is_dir():
        raise InputError(f"{arguments.run}: no such run folder; give a matrix as --matrix FILE")
    return given[0]
