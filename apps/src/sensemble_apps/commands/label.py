"""`sensemble label`: how often a recorded session was right, by labels that a person noted."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.auditing.reliability import Answered, recorded_answers
from sensemble_runtime.record.reader import RecordedPrediction, read_predictions, read_runs
from sensemble_runtime.record.writer import RecordedAnswer
from sensemble_sensors.errors import counted
from sensemble_sensors.media.spans import Span, read_spans

from sensemble_apps.console.columns import table
from sensemble_apps.console.estimates import INTERVAL, ends, percent_within
from sensemble_apps.console.output import say_json
from sensemble_apps.console.wording import percent, set_title
from sensemble_apps.errors import InputError
from sensemble_apps.options import Common, File, Positional


@dataclass(frozen=True, kw_only=True)
class Label(Common):
    """Score a recorded session by labels from the field, with each set of sensors that was live."""

    record: Positional[File]
    """The SQLite file that `run --record` wrote."""
    spans: Positional[File]
    """A CSV file with the columns from, until and label, the class that was shown. Times are seconds since
    the session began, or dates with times such as `2026-11-30T10:15:00`, in this machine's time zone unless
    they name one."""
    session: int | None = None
    """The session's number in `sensemble history`; by default the last."""
    json: bool = False
    """Print the scores as JSON."""


def main(arguments: Label) -> None:
    """Print the scores of each live set as a table or as JSON."""
    sessions = [run for run in read_runs(arguments.record) if run.kind == "session"]
    run = next((one for one in reversed(sessions) if arguments.session in (None, one.id)), None)
    if run is None:
        raise InputError(f"{arguments.record}: holds no such session; `sensemble history {arguments.record}`")
    spans = read_spans(arguments.spans, run.began)
    if odd := next((span for span in spans if span.label not in run.labels), None):
        labels = ", ".join(run.labels)
        raise InputError(f"{odd.where}: the bundle has no label {odd.label!r}; it has {labels}")
    predictions = read_predictions(arguments.record, run.id)
    answers = [*_labelled(predictions, spans, run.task, arguments.spans)]
    answered = sum(any(span.begin <= one.at < span.end for one in predictions) for span in spans)
    if not answers:
        raise InputError(f"{arguments.spans}: no answer of session {run.id} is within a span; see its times")
    found = recorded_answers(answers, run.labels, run.task)
    if arguments.json:
        sets = {
            name: {
                "n": len(one.right),
                "right": asdict(found.share(name, one.right)),
                **asdict(one.reliability),
            }
            for name, one in found.sets.items()
        }
        counts = {"spans": answered, "spans_without_answers": len(spans) - answered}
        say_json({"session": run.id, **counts, "sets": sets}, indent=2)
        return
    console = Console(markup=False, highlight=False)
    console.print(_table(found))
    given = f"{counted(len(answers), 'answer')} in {counted(answered, 'span')}"
    console.print(f"{given}; the answers of a span count as one group")
    if answered < len(spans):
        console.print(f"{counted(len(spans) - answered, 'span')} without an answer: see the times")


def _labelled(
    predictions: Sequence[RecordedPrediction], spans: Sequence[Span], task: str, path: Path
) -> Iterator[RecordedAnswer]:
    """Yield the answers within spans, each with its truth; those of a span are one group.

    Raises InputError if spans of two classes overlap, where an answer has one.
    """
    for place, one in enumerate(predictions):
        within = [number for number, span in enumerate(spans) if span.begin <= one.at < span.end]
        if not within:
            continue
        truth = tuple(dict.fromkeys(spans[number].label for number in within))
        if len(truth) > 1 and task == "multi-class":
            raise InputError(
                f"{path}: the spans of {' and '.join(truth)} overlap; shorten one: an answer has one class"
            )
        yield RecordedAnswer(
            f"{place}",
            place,
            truth,
            subsets.name(one.live),
            one.labels[int(one.probabilities.argmax())],
            one.probabilities,
            one.threshold,
            one.doubt,
            (f"span {within[0]}",),
        )


def _table(found: Answered) -> Table:
    columns = ("right", INTERVAL, "unsure", "sure and wrong", "answers")
    drawn = table(("live",), columns, "Right answers by what was live, %")
    for name, one in found.sets.items():
        share, worth = found.share(name, one.right), one.reliability
        drawn.add_row(
            set_title(subsets.parse(name)),
            percent_within(share.value, share),
            ends(share),
            percent(worth.unsure),
            percent(worth.sure_wrong),
            str(len(one.right)),
        )
    return drawn
