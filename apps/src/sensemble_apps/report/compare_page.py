"""The page of a comparison: release B beside release A."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sensemble_runtime import subsets
from sensemble_runtime.auditing.comparison import Comparison
from sensemble_runtime.auditing.stream_comparison import StreamChange
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.wording import sensor_words
from sensemble_apps.report import page_template
from sensemble_apps.report.shown_example import AnsweredExample, answer_words, shown
from sensemble_apps.tables import comparison_table, stream_table
from sensemble_apps.tables.comparison_table import Side
from sensemble_apps.tables.gate_verdict import Verdicts

_SHOWN = 12  # examples that became wrong, and right; groups


def flips(
    names: Sequence[str], found: Comparison, a: Side, b: Side, examples: Mapping[str, Example]
) -> list[AnsweredExample]:
    """Return the first of some examples, as the fullest set answers them."""
    manifest = b.manifest or a.manifest
    specs: Mapping[str, InputSpec] = manifest.specs if manifest else {}
    return [
        AnsweredExample(
            name,
            " + ".join(a.result.answered.truth[a.result.answered.ids.index(name)]),
            [
                f"{letter}: {answer_words(side.result.answered, name, found.fullest)}"
                for letter, side in (("A", a), ("B", b))
            ],
            list(shown(examples[name], specs)) if name in examples else [],
        )
        for name in names[:_SHOWN]
    ]


def render(
    found: Comparison,
    heard: Sequence[StreamChange],
    a: Side,
    b: Side,
    examples: Mapping[str, Example],
    verdicts: Verdicts,
    made: datetime,
) -> str:
    """Return the page as HTML; `heard` is what changed in streams, `examples` by id what may be shown."""
    every = found.sets[found.fullest]
    names = comparison_table.named(a, b, made.date())
    verdict = comparison_table.verdict(every, found.margin, names)
    if a.result.bundle == b.result.bundle:
        verdict = f"The same bundle: {verdict}"
    return page_template.render(
        "compare.html.j2",
        found=found,
        sides=(("A", a, names[0]), ("B", b, names[1])),
        verdicts=verdicts,
        made=made,
        headline=verdict[0].upper() + verdict[1:],
        live=sensor_words(subsets.parse(found.fullest)),
        sentences=list(comparison_table.sentences(found, names)),
        columns=comparison_table.COLUMNS,
        caption=comparison_table.CAPTION,
        rows=[(subsets.parse(name), one, comparison_table.cells(one)) for name, one in found.sets.items()],
        heard=[(stream_table.title(one.after), one, stream_table.changed_cells(one)) for one in heard],
        stream_columns=stream_table.CHANGES,
        stream_caption=stream_table.CAPTION,
        amount=stream_table.amount([one.after for one in heard]) if heard else "",
        lost=flips(every.lost, found, a, b, examples),
        gained=flips(every.gained, found, a, b, examples),
        every=every,
        groups=every.groups if len(every.groups) < every.n else (),
        shown=_SHOWN,
        degraded=comparison_table.degraded(found),
        points=comparison_table.points,
        costs=comparison_table.costs(a.manifest, b.manifest),
    )
