"""`sensemble compare`: compare release B with release A."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from rich.console import Console
from sensemble_runtime import subsets
from sensemble_runtime.auditing.comparison import MARGIN, Comparison, compare
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.record.writer import fingerprint
from sensemble_sensors.media.dataset import read_dataset

from sensemble_apps.commands.audit import Audit, measure
from sensemble_apps.console.output import check_file, say, say_json, write
from sensemble_apps.console.wording import data_title
from sensemble_apps.errors import InputError
from sensemble_apps.options import Judging, OptionalFolder, Positional, Trusting
from sensemble_apps.tables import comparison_table, gate_verdict
from sensemble_apps.tables.audits import audits
from sensemble_apps.tables.comparison_table import Side, recorded_side
from sensemble_apps.tables.gate_verdict import Verdicts
from sensemble_apps.tables.run_folder import AUDIT, BUNDLE, EVALUATED


@dataclass(frozen=True, kw_only=True)
class Compare(Judging, Trusting):
    """Compare two releases example by example: two bundles, runs or records."""

    a: Positional[Path]
    """A bundle folder, a run folder, or the record of an audit."""
    b: Positional[Path]
    """The newer release, in one of the same forms."""
    data: OptionalFolder = None
    """A dataset: bundles are audited on it; for runs and records, the page shows its examples."""
    split: Annotated[str, "NAME"] = "eval"
    """The split to audit bundles on."""
    margin: float = MARGIN
    """The difference in accuracy below which B counts as equivalent."""
    out: Annotated[Path, "PAGE"] = Path("compare.html")
    """The page to write."""
    json: bool = False
    """Print the comparison as JSON, and write no page."""


def main(arguments: Compare) -> None:
    """Print the comparison and write its page, or print it as JSON."""
    if not arguments.json:
        check_file(arguments.out)
    _check_used(arguments)
    examples = {one.id: one for one in read_dataset(arguments.data).examples} if arguments.data else {}
    a, b = (_side(path, arguments) for path in (arguments.a, arguments.b))
    found = compare(a.result, b.result, margin=arguments.margin)
    verdicts = _judged(arguments, found, b)
    if arguments.json:
        sides = {"a": a.to_json(), "b": b.to_json()}
        say_json(found.to_json() | sides | gate_verdict.to_json(verdicts), indent=2)
        gate_verdict.enforce(verdicts, arguments.junit)
        return
    from sensemble_apps.report import compare_page  # Jinja takes a while

    console, made = Console(highlight=False, markup=False), datetime.now(UTC)
    names = comparison_table.named(a, b, made.date())
    for letter, side, name in zip("AB", (a, b), names, strict=True):
        own = "" if name == letter else f"{name}, "
        console.print(
            f"{letter}: {own}{side.title} ({side.data}; bundle {side.result.bundle[:12]})", soft_wrap=True
        )
    if a.result.bundle == b.result.bundle:
        console.print("A and B are the same bundle.")
    console.print(comparison_table.sets(found))
    for sentence in (*comparison_table.sentences(found, names), *(line for _, line in verdicts)):
        console.print(sentence, soft_wrap=True)
    write(arguments.out, compare_page.render(found, a, b, examples, verdicts, made))
    say(str(arguments.out))
    gate_verdict.enforce(verdicts, arguments.junit)


def _judged(arguments: Compare, found: Comparison, b: Side) -> Verdicts:
    """Judge the criteria on the change, and on B."""
    if arguments.require is None:
        return []
    names = sorted({m for name in b.result.answered.sets for m in subsets.parse(name)})
    criteria = gate_verdict.parse(arguments.require, names, b.manifest.specs if b.manifest else {})
    return gate_verdict.judged(criteria, b.result, found)


def _check_used(arguments: Compare) -> None:
    """Raise InputError for an option that neither side would use."""
    sides = arguments.a, arguments.b
    if arguments.split != Compare.split and not any((path / FILE_NAME).is_file() for path in sides):
        raise InputError(f"--split {arguments.split}: is for bundles; runs and records have their audits")
    record = next((path for path in sides if path.is_file()), None)
    if arguments.trust is not None and record is not None:
        raise InputError(f"--trust: {record} is a record, which nobody signs; give a bundle or a run")


def _side(path: Path, arguments: Compare) -> Side:
    if (path / FILE_NAME).is_file():
        return _of_bundle(path, arguments)
    if (path / BUNDLE / FILE_NAME).is_file():
        return _of_run(path, arguments.trust)
    if path.is_dir():
        raise InputError(f"{path}: neither a bundle nor a run; give one, or the record of an audit")
    return recorded_side(path)


def _of_bundle(path: Path, arguments: Compare) -> Side:
    if arguments.data is None:
        raise InputError(f"{path}: a bundle has no answers; give --data DATASET to audit it on")
    result = measure(Audit(bundle=path, data=arguments.data, split=arguments.split, trust=arguments.trust))
    title = data_title(arguments.data.resolve().name, arguments.split)
    return Side(str(path), title, result, read_manifest(path / FILE_NAME))


def _of_run(path: Path, trust: Path | None) -> Side:
    manifest, found = read_manifest(path / BUNDLE / FILE_NAME, trust), audits(path)
    title = data_title(manifest.provenance.dataset, EVALUATED)
    if found.result is None:
        raise InputError(
            f"{path}: its bundle was not audited on {title}; "
            f"`sensemble audit {path / BUNDLE} --data DATASET --record {path / AUDIT}`"
        )
    # The audit may be of the bundle that this one extends.
    return Side(str(path), title, replace(found.result, bundle=fingerprint(path / BUNDLE)), manifest)
