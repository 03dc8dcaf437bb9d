"""`sensemble compare`: compare release B with release A."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from rich.console import Console
from sensemble_runtime import subsets
from sensemble_runtime.auditing import stream_gate
from sensemble_runtime.auditing.comparison import MARGIN, Comparison, compare
from sensemble_runtime.auditing.gate import Judgement
from sensemble_runtime.auditing.stream_audit import audit_streams
from sensemble_runtime.auditing.stream_comparison import StreamChange, compare_streams
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.errors import ComparisonError
from sensemble_runtime.record.writer import fingerprint
from sensemble_runtime.scores import StreamScore
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.modalities import read_modalities
from sensemble_sensors.media.streams import read_streams

from sensemble_apps.commands.audit import Audit, measure
from sensemble_apps.console.output import check_file, say, say_json, write
from sensemble_apps.console.progress import progress
from sensemble_apps.console.wording import data_title
from sensemble_apps.errors import InputError
from sensemble_apps.options import Judging, OptionalFolder, Positional, Trusting
from sensemble_apps.tables import comparison_table, gate_verdict, stream_table
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
    heard, unheard = _streams(a, b)
    verdicts = _judged(arguments, found, b)
    if arguments.json:
        sides = {"a": a.to_json(), "b": b.to_json()}
        streams = {"streams": [asdict(one) for one in heard]} if heard else {}
        say_json(found.to_json() | streams | sides | gate_verdict.to_json(verdicts), indent=2)
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
    if heard:
        console.print(stream_table.changes(heard))
    if unheard:
        console.print(unheard, soft_wrap=True)
    for sentence in (*comparison_table.sentences(found, names), *(line for _, line in verdicts)):
        console.print(sentence, soft_wrap=True)
    write(arguments.out, compare_page.render(found, heard, a, b, examples, verdicts, made))
    say(str(arguments.out))
    gate_verdict.enforce(verdicts, arguments.junit)


def _streams(a: Side, b: Side) -> tuple[list[StreamChange], str]:
    """Return the changes in streams, and why there are none, in words; neither where no side has any."""
    if not (a.streams and b.streams):
        only = next((letter for letter, side in (("A", a), ("B", b)) if side.streams), "")
        return [], f"Streams are not compared: only {only} was audited on any." if only else ""
    if a.heard != b.heard:
        return [], f"Streams are not compared: A was audited on those of {a.heard}, B of {b.heard}."
    try:
        return compare_streams(a.streams, b.streams), ""
    except ComparisonError as error:
        return [], f"Streams are not compared: {error}."


def _judged(arguments: Compare, found: Comparison, b: Side) -> Verdicts:
    """Judge the criteria on the change, and on B and its streams."""
    if arguments.require is None:
        return []
    names = sorted({m for name in b.result.answered.sets for m in subsets.parse(name)})
    given = gate_verdict.listed(arguments.require).split(",")
    streams = [one for one in given if stream_gate.is_of_streams(one)]
    examples = ",".join(one for one in given if one not in streams)
    verdicts: list[tuple[Judgement, str]] = []
    if examples or not streams:
        criteria = gate_verdict.parse(examples, names, b.manifest.specs if b.manifest else {})
        verdicts += gate_verdict.judged(criteria, b.result, found)
    if streams:
        criteria = stream_gate.parse(",".join(streams), names, gate_verdict.modalities_by_word(names))
        verdicts += [(one, stream_gate.line(one)) for one in stream_gate.judge(criteria, b.streams)]
    return verdicts


def _check_used(arguments: Compare) -> None:
    """Raise InputError for a side that is not there, or an option that neither would use."""
    sides = arguments.a, arguments.b
    if missing := next((path for path in sides if not path.exists()), None):
        raise InputError(f"{missing}: is not there; give a bundle, a run, or the record of an audit")
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
    heard = _heard(path, arguments.data, arguments)
    return Side(str(path), title, result, read_manifest(path / FILE_NAME), heard, title)


def _heard(path: Path, data: Path, arguments: Compare) -> tuple[StreamScore, ...]:
    """Audit a bundle on the streams of the split; without any, or without a timeline, on none."""
    streams = [one for one in read_streams(data) if one.split == arguments.split]
    if not streams or read_manifest(path / FILE_NAME).calibration.timeline is None:
        return ()
    bundle, declared = Bundle.open(path, trust=arguments.trust), read_modalities(data)
    with progress("Auditing streams") as advance:
        return tuple(audit_streams(bundle, streams, declared=declared, progress=advance))


def _of_run(path: Path, trust: Path | None) -> Side:
    manifest, found = read_manifest(path / BUNDLE / FILE_NAME, trust), audits(path)
    title = data_title(manifest.provenance.dataset, EVALUATED)
    if found.result is None:
        raise InputError(
            f"{path}: its bundle was not audited on {title}; "
            f"`sensemble audit {path / BUNDLE} --data DATASET --record {path / AUDIT}`"
        )
    # The audit may be of the bundle that this one extends.
    result = replace(found.result, bundle=fingerprint(path / BUNDLE))
    return Side(str(path), title, result, manifest, found.streams, found.heard)
