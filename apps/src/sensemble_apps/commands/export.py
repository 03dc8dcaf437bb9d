"""`sensemble export`: quantize and lower a trained model of a run into the run's bundle."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.table import Table
from sensemble_runtime import subsets
from sensemble_runtime.bundle.manifest import Manifest

from sensemble_apps.console.columns import table
from sensemble_apps.console.output import remark, say
from sensemble_apps.console.progress import stages
from sensemble_apps.console.wording import abbreviation, percent, set_title
from sensemble_apps.errors import InputError
from sensemble_apps.options import Common, Folder, Positional
from sensemble_apps.tables.costs import show_costs
from sensemble_apps.tables.gate_verdict import modalities_by_word
from sensemble_apps.tables.matrices import chance_warnings, most_robust
from sensemble_apps.tables.run_folder import BUNDLE, MATRIX, SELECTION

if TYPE_CHECKING:
    from sensemble_export.run import RunExport
    from sensemble_export.search import Option, TradeOff
    from sensemble_runtime.auditing.sparing_fit import Wishes

MEASURED = "measured"  # in place of costs
_SHOWN = 20  # combinations of schemes
_CAPTION = "on calibrate; worst: the score of the worst set; drop: points lost, on the set that loses most"


@dataclass(frozen=True, kw_only=True)
class Export(Common):
    """Quantize and lower a trained model of a run into its `bundle/`; another --target adds to the bundle.

    `sensemble export verify BUNDLE` measures how close its encoders are to their originals on this machine.
    """

    run: Positional[Folder]
    """A run folder that `sensemble train` or `sensemble demo` wrote; with --model, the bundle's folder."""
    model: Annotated[str | None, "PACKAGE.MODULE:FACTORY"] = None
    """A function that returns a model trained elsewhere (`sensemble_train.Trained`); give --data too."""
    data: Annotated[Path | None, "FOLDER"] = None
    """The dataset on which a model of --model is quantized, calibrated and measured."""
    method: Annotated[str, "NAME"] = "subset"
    """One of the run's methods."""
    train_modalities: Annotated[str | None, "SET"] = None
    """The modalities it was trained on (M_T); by default, the most robust M_T (R_best, Eq. 5)."""
    target: Annotated[tuple[str, ...], "NAME"] = ("executorch-xnnpack",)
    """The executors to export for: executorch-xnnpack, onnx, coreml."""
    scheme: Annotated[tuple[str, ...], "[TARGET:]MODALITY=SCHEME"] = ()
    """The quantization of a modality, such as `audio=int8-static`; by default, the target's usual scheme."""
    budget: Annotated[str | None, "LIMITS"] = None
    """Search for the best schemes within limits, separately for each target, such as
    `size=20MB,latency=30ms,drop=1.0`: the size and the latency of all encoders together, and the
    largest loss of accuracy in points."""
    false_per_hour: Annotated[float, "N"] = 1.0
    """The false events an hour that the timeline is fitted to, on the streams of the split calibrate."""
    sparing_loss: Annotated[float, "POINTS"] = 0.5
    """The points of right answers that letting sensors sleep (`--sparing` of run and serve) may cost."""
    cost: Annotated[str | None, "SENSOR=N,..."] = None
    """The cost of a sensor while it is on, such as `camera=10,microphone=1`: costly ones sleep first. With
    `measured`, the seconds of a processor that its encoder takes here."""
    last: Annotated[str | None, "SENSOR"] = None
    """The sensor that is woken last, such as `camera`."""
    only_add: bool = False
    """Only add to the run's bundle, with its calibration and audits; refuse to replace it."""
    json: bool = False
    """Print the progress, and then the result, as one JSON object per line."""


def main(arguments: Export) -> None:
    """Export, and print the bundle's folder."""
    # Here, so that `--help` works where they are not installed.
    from sensemble_export.bundle.write import Origin
    from sensemble_export.run import export_model, export_run
    from sensemble_export.search import parse_budget
    from sensemble_train.models.imported import imported_model

    if arguments.budget is not None and arguments.scheme:
        raise InputError("--budget searches the schemes that --scheme sets: give one of them")
    if not 0 < arguments.false_per_hour < math.inf:
        raise InputError(f"--false-per-hour {arguments.false_per_hour}: give a number above 0")
    budget = parse_budget(arguments.budget) if arguments.budget is not None else None
    if (arguments.model is None) != (arguments.data is None):
        raise InputError("--model and --data go together; a run folder has its own data")
    run: Path = arguments.run
    make: Callable[..., RunExport]
    modalities: Sequence[str]
    if arguments.model is not None and arguments.data is not None:
        model = imported_model(arguments.model)
        modalities = model.modalities
        origin = Origin(modalities, "imported", arguments.data.resolve().name)
        make = partial(export_model, model, arguments.data, run / BUNDLE, origin)
    else:
        asked = subsets.parse(arguments.train_modalities) if arguments.train_modalities else None
        method, modalities = most_robust(run / SELECTION, arguments.method, asked)
        make = partial(export_run, run, method, modalities)
    make = partial(make, targets=arguments.target, schemes=arguments.scheme, budget=budget)
    make = partial(make, false_per_hour=arguments.false_per_hour, only_add=arguments.only_add)
    make = partial(make, sparing=_wishes(arguments, modalities))
    fitted = export(run, make, budget, in_json=arguments.json).calibration.sparing
    if arguments.cost == MEASURED and fitted is not None:
        each = (f"{set_title(m)} {cost:.2g}" for m, cost in zip(fitted.order, fitted.costs, strict=True))
        remark(f"costs, measured in seconds of a processor a minute: {', '.join(each)}")
    bundle = str(run / BUNDLE)
    say(json.dumps({"bundle": bundle}) if arguments.json else bundle)


def _wishes(arguments: Export, modalities: Sequence[str]) -> "Wishes":
    """Read what the user wants of sparing."""
    from sensemble_runtime.auditing.sparing_fit import Wishes

    if not 0 <= arguments.sparing_loss <= 100:
        raise InputError(f"--sparing-loss {arguments.sparing_loss}: give points, 0 to 100")
    words = modalities_by_word(modalities) | {m.split(".")[0]: m.split(".")[0] for m in modalities}
    words |= {m: m for m in modalities}

    def named(option: str, word: str) -> str:
        if word not in words:
            raise InputError(f"{option} {word}: no sensor is called so; there are {', '.join(words)}")
        return words[word]

    costs, measured = dict[str, float](), arguments.cost == MEASURED
    for part in () if measured else filter(None, (arguments.cost or "").split(",")):
        word, _, number = part.partition("=")
        try:
            costs[named("--cost", word)] = float(number)
        except ValueError as error:
            raise InputError(f"--cost {part}: write SENSOR=N, such as camera=10, or measured") from error
        if not 0 <= float(number) <= 1e6:
            raise InputError(f"--cost {part}: give 0 to 1000000")
    last = named("--last", arguments.last) if arguments.last else ""
    return Wishes(arguments.sparing_loss / 100, costs, measured, last)


def export(
    run: Path,
    make: "Callable[..., RunExport]",
    budget: Mapping[str, float] | None = None,
    *,
    in_json: bool = False,
) -> Manifest:
    """Export with `make`, and print the costs and a search's trade-off; with `in_json`, progress alone."""
    from sensemble_export.bundle.partition_report import FILE_NAME, describe_lowering
    from sensemble_export.measuring.calibration import describe_calibration
    from sensemble_export.search import BudgetError

    try:
        with stages(in_json=in_json) as progress:
            done = make(progress=progress)
    except BudgetError as error:
        _show_trade_offs(error.trade_offs, budget or {})
        raise
    if in_json:
        return done.manifest
    _show_trade_offs(done.trade_offs, budget or {})
    show_costs(done.manifest, f"{done.measured} of {done.evaluated} examples")
    origin = done.manifest.provenance
    if (run / MATRIX).exists():  # not of a run that is still training other sets
        for line in chance_warnings(run / MATRIX, origin.method, origin.train_modalities):
            remark(f"warning: {line}")
    for line in (*describe_calibration(done.manifest), *describe_lowering(done.bundle / FILE_NAME)):
        remark(line)
    return done.manifest


def _show_trade_offs(trade_offs: "Iterable[TradeOff]", budget: Mapping[str, float]) -> None:
    for trade_off in trade_offs:
        for reason in trade_off.skipped:
            remark(f"left out of the search: {reason}")
        show_trade_off(trade_off.target, trade_off.options, budget)


def show_trade_off(target: str, combinations: "Sequence[Option]", budget: Mapping[str, float]) -> None:
    """Print the combinations that no other beats, and mark the chosen one."""
    from sensemble_export.search import BudgetError, best, pareto_front

    try:
        chosen = best(combinations, dict(budget))
    except BudgetError:  # the caller reports it after this table, which shows it
        chosen = None
    console = Console()
    shown = pareto_front(combinations)
    if chosen is not None and chosen not in shown:
        shown = [chosen, *shown]
    shown = [option for option in shown if option == chosen] + [o for o in shown if o != chosen][:_SHOWN]
    console.print(_combinations(target, shown, chosen))
    console.print(f"{len(combinations)} combinations were measured", highlight=False)


def _combinations(target: str, shown: "Sequence[Option]", chosen: "Option | None") -> Table:
    modalities = [job.modality for job in shown[0].jobs]
    title = f"{target}: combinations that no other beats"
    drawn = table(("", *modalities), ("MB", "ms", "worst, %", "drop", "on"), title, _CAPTION)
    for option in sorted(shown, key=lambda option: option.size):
        schemes = [job.scheme for job in option.jobs]
        drawn.add_row(
            ">" if option == chosen else "",
            *schemes,
            f"{option.size / 1e6:.2f}",
            f"{option.latency:.2f}",
            percent(option.worst),
            f"{option.drop:.1f}",
            abbreviation(subsets.parse(option.dropped)),
            style="bold" if option == chosen else "",
        )
    return drawn
