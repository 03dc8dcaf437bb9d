"""`sensemble audit`: score a bundle with every set of its sensors."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from rich.console import Console
from sensemble_runtime import subsets
from sensemble_runtime.auditing import audit, gate, stream_gate
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.stream_audit import audit_streams
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import FILE_NAME
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.record.reader import read_moments, read_runs
from sensemble_runtime.record.writer import RecordWriter
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.modalities import read_modalities
from sensemble_sensors.media.streams import read_streams
from sensemble_sensors.spec import devices

from sensemble_apps.console.conditions import ALL, parse_conditions
from sensemble_apps.console.output import say_executors, say_json, write
from sensemble_apps.console.progress import progress
from sensemble_apps.errors import InputError
from sensemble_apps.options import (
    BundleFolder,
    Folder,
    Judging,
    OptionalFile,
    OptionalOut,
    Positional,
    Trusting,
)
from sensemble_apps.running.inputs import examples_of
from sensemble_apps.tables import (
    audit_table,
    condition_table,
    gate_verdict,
    sparing_table,
    stream_table,
    unknown_table,
)


@dataclass(frozen=True, kw_only=True)
class Audit(Judging, Trusting):
    """Score a bundle on labelled data, with every set of sensors."""

    bundle: Positional[BundleFolder]
    """A bundle folder."""
    data: Folder
    """A dataset in Sensemble's format."""
    split: Annotated[str, "NAME"] = "eval"
    """The split to score."""
    record: OptionalFile = None
    """Record the result in this SQLite file."""
    conditions: Annotated[tuple[str, ...] | None, "SENSOR[=NAME[:SEVERITY]]"] = None
    """Also score it while one sensor at a time is degraded, by all of its conditions at five severities or by
    some, such as `microphone=quiet,camera=dark:3`. With a record, an interrupted audit continues."""
    unknown: bool = False
    """Also measure how sure it is of unknown input: classes left out, near windows (half a word, two at once,
    mirrored), and the split's backgrounds; and the cost to known windows."""
    streams: bool = False
    """Audit the streams of the split instead of its examples: what each set of sensors finds, the false
    events an hour and the delay. `--require found>=0.9,false_per_hour<=1` judges the set of all sensors."""
    sparing: bool = False
    """Also run the policy by which sensors sleep over the examples in virtual time, beside all sensors on,
    the best set at the same cost, and waking by chance."""
    subsets: Annotated[str | None, "SETS"] = None
    """With more than six modalities, score `all` sets, or add to `singles,leave-one-out` the sets `seen`: the
    live sets of the sessions in the record."""
    template: OptionalOut = None
    """Write a file for `--require`, with criteria that this audit just meets."""
    json: bool = False
    """Print the result as JSON."""


def main(arguments: Audit) -> None:
    """Print the scores as tables or as JSON, and judge them if `--require` is given."""
    if arguments.streams:
        _audit_streams(arguments)
        return
    criteria = _criteria(arguments)  # before anything is encoded
    result = measure(arguments)
    verdicts = gate_verdict.judged(criteria, result)
    if arguments.template:
        carried = devices(read_manifest(arguments.bundle / FILE_NAME).specs)
        write(arguments.template, gate_verdict.template(carried, result))
    if arguments.json:
        say_json(result.to_json() | gate_verdict.to_json(verdicts), indent=2)
    else:
        console = Console(highlight=False, markup=False)
        console.print(audit_table.scores(result))
        if result.gains:
            console.print(audit_table.added(result))
        console.print(audit_table.reliability(result))
        if result.conditions:
            for title, table in condition_table.tables(result.conditions, result.metric):
                console.print(f"\n{title}", style="italic")
                console.print(table)
            console.print()
        if result.unknown:
            console.print(unknown_table.unknown(result.unknown))
        if result.sparing:
            console.print(sparing_table.sparing(result.sparing))
        slept = sparing_table.sentences(result.sparing) if result.sparing else ()
        degraded = condition_table.sentences(result.conditions, result.metric) if result.conditions else ()
        lines = [line for _, line in verdicts]
        for line in (
            *audit_table.sentences(result),
            *audit_table.sureness(result),
            *degraded,
            *slept,
            *lines,
        ):
            console.print(line, soft_wrap=True)
    gate_verdict.enforce(verdicts, arguments.junit)


def _audit_streams(arguments: Audit) -> None:
    if other := next((o for o in ("template", "unknown", "subsets", "sparing") if getattr(arguments, o)), ""):
        raise InputError(f"--{other}: is of examples; leave it out with --streams")
    modalities = sorted(read_manifest(arguments.bundle / FILE_NAME).specs)
    by_word = gate_verdict.modalities_by_word(modalities)
    criteria = stream_gate.parse(arguments.require, modalities, by_word) if arguments.require else []
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust)
    say_executors(bundle.executors)
    asked = parse_conditions(",".join(arguments.conditions or ()) or ALL, bundle.specs)
    single = [one for one in asked if isinstance(one, Applied)]  # not of a device as a whole
    chosen = [one for one in read_streams(arguments.data) if one.split == arguments.split]
    with ExitStack() as stack:  # a record that cannot be written is known before anything is encoded
        records = stack.enter_context(RecordWriter(arguments.record)) if arguments.record else None
        name = arguments.data.resolve().name
        run = records.begin("streams", bundle, name, arguments.split) if records else 0
        scores = audit_streams(
            bundle,
            chosen,
            declared=read_modalities(arguments.data),
            conditions=[] if arguments.conditions is None else single,
            progress=stack.enter_context(progress("Auditing")),
        )
        if records:
            records.add_streams(run, scores)
            records.end(run)
    verdicts = [(one, stream_gate.line(one)) for one in stream_gate.judge(criteria, scores)]
    if arguments.json:
        result = {"streams": stream_table.to_json(scores)}
        say_json(result | gate_verdict.to_json(verdicts), indent=2)
    else:
        console = Console(highlight=False, markup=False)
        console.print(stream_table.streams(scores))
        timeline = bundle.manifest.calibration.timeline
        if timeline is not None:
            console.print(f"{timeline.promise[0].upper()}{timeline.promise[1:]}.", soft_wrap=True)
        for _, line in verdicts:
            console.print(line, soft_wrap=True)
    gate_verdict.enforce(verdicts, arguments.junit)


def _criteria(arguments: Audit) -> list[gate.Criterion]:
    if arguments.require is None:
        return []
    specs = read_manifest(arguments.bundle / FILE_NAME).specs
    criteria = gate_verdict.parse(arguments.require, sorted(specs), specs)
    gate.check_of_one(criteria)
    return criteria


def measure(arguments: Audit) -> AuditResult:
    """Audit a bundle on a split of a dataset, with a progress bar."""
    bundle = Bundle.open(arguments.bundle, trust=arguments.trust)
    say_executors(bundle.executors)
    examples, asked = examples_of(arguments.data, arguments.split), arguments.conditions
    with progress("Auditing") as advance:
        return audit.audit(
            bundle,
            examples,
            record=arguments.record,
            dataset=arguments.data.resolve().name,  # the name that training gives it, also for the folder `.`
            progress=advance,
            conditions=[] if asked is None else parse_conditions(",".join(asked) or ALL, bundle.specs),
            sparing=arguments.sparing,
            unknown=read_dataset(arguments.data).background(arguments.split) if arguments.unknown else None,
            more=further_subsets(bundle.modalities, arguments.subsets, arguments.record),
        )


def further_subsets(
    modalities: Sequence[str], wanted: str | None, record: Path | None
) -> list[subsets.Subset]:
    """Return the subsets that `--subsets` asks for beside those that are always measured."""
    names = set(filter(None, (wanted or "").split(",")))
    if unknown := names - {"all", "singles", "leave-one-out", "seen"}:
        raise InputError(f"--subsets {min(unknown)}: give all, or some of singles,leave-one-out,seen")
    wanted_sets: set[subsets.Subset] = set(subsets.subsets(modalities)) if "all" in names else set()
    if "seen" in names:
        if record is None or not record.exists():
            raise InputError(
                "--subsets seen: reads the sessions of a record; give --record FILE that has some"
            )
        sessions = [run.id for run in read_runs(record) if run.kind == "session"]
        live = {one for session in sessions for _, one in read_moments(record, session)}
        wanted_sets |= {one for one in live if one and set(one) <= set(modalities)}
    return sorted(wanted_sets - set(subsets.measured(modalities)), key=lambda one: (len(one), one))
