"""`sensemble audit`: score a bundle with every set of its sensors."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sensemble_runtime.auditing import audit
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.session.change_gate import Duty
from sensemble_sensors.media.dataset import read_dataset

from sensemble_apps.arguments import Audit
from sensemble_apps.console.conditions import ALL, parse_conditions
from sensemble_apps.console.output import say_executors, say_json
from sensemble_apps.console.progress import progress
from sensemble_apps.console.wording import percent
from sensemble_apps.errors import InputError
from sensemble_apps.runs import condition_table, reliability_table


def main(arguments: Audit) -> None:
    """Print the score of each set of sensors, P and R, as a table or as JSON.

    Raises:
        InputError, BundleError, BadDataError, RecordError: something given cannot be used.
    """
    data, split, trust = arguments.data, arguments.split, arguments.trust
    result = measure(
        arguments.bundle, data, split, arguments.record, trust=trust, conditions=arguments.conditions
    )
    saving = measure(arguments.bundle, data, split, None, Duty(), trust) if arguments.duty else None
    if arguments.json:
        say_json(result.to_json() | ({"duty": saving.to_json()} if saving else {}), indent=2)
    else:
        console = Console()
        console.print(_table(result, saving))
        console.print(reliability_table.table(result))
        if result.conditions:
            for title, table in condition_table.tables(result.conditions, result.metric):
                console.print(f"\n{title}", style="italic", highlight=False)
                console.print(table)
            console.print()
            for line in condition_table.sentences(result.conditions, result.metric):
                console.print(line, highlight=False, markup=False, soft_wrap=True)


def measure(
    bundle: Path,
    data: Path,
    split: str,
    record: Path | None,
    duty: Duty | None = None,
    trust: Path | None = None,
    conditions: Sequence[str] | None = None,
) -> AuditResult:
    """Audit the bundle, signed by the key `trust`, on a split of a dataset, with a progress bar.

    It is also audited under `conditions`; none named means all.

    Raises:
        InputError, BundleError, BadDataError, RecordError: as `main`.
    """
    opened = Bundle.open(bundle, trust=trust)
    if duty is None:
        say_executors(opened.executors)
    examples = read_dataset(data).split(split)
    if not examples:
        raise InputError(f"{data}: no example in split {split}; choose another --split")
    applied = [] if conditions is None else parse_conditions(",".join(conditions) or ALL, opened.modalities)
    dataset = data.resolve().name  # the name that training gives it, also for the folder `.`
    with progress("Auditing") as advance:
        return audit.audit(
            opened,
            examples,
            record=record,
            dataset=dataset,
            progress=advance,
            duty=duty,
            conditions=applied,
        )


def _table(result: AuditResult, saving: AuditResult | None) -> Table:
    table = Table(title=f"{result.metric}, %", title_justify="left", box=None)
    table.add_column("live", overflow="fold")  # cut short, the sets would look alike
    for column in ("score", "with duty", "examples") if saving else ("score", "examples"):
        table.add_column(column, justify="right")
    both = [result, saving] if saving else [result]
    for name, score in result.subsets.items():
        style = "yellow" if name == result.worst else ""
        scores = [percent(audited.subsets[name].accuracy) for audited in both]
        table.add_row(name, *scores, str(score.n), style=style)
    for name in result.unscored:
        table.add_row(name, *[percent(None) for _ in both], "0")
    table.add_section()
    table.add_row("P, the mean", *[percent(audited.p) for audited in both])
    table.add_row("R, the worst", *[percent(audited.r) for audited in both])
    if saving:
        saved = ", ".join(f"{m} {n}" for m, n in sorted(saving.saved.items()))
        table.caption = f"windows that duty saved, in {result.examples} examples: {saved}"
        table.caption_justify = "left"
    return table
