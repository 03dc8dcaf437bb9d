"""`sensemble export`: quantize and lower a trained model of a run into the run's bundle."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sensemble_export.fitting import describe_calibration
from sensemble_export.partition_report import FILE_NAME, describe_lowering
from sensemble_export.run import export_run
from sensemble_export.search import BudgetError, TradeOff, parse_budget
from sensemble_runtime import subsets
from sensemble_runtime.subsets import Subset

from sensemble_apps.arguments import Common, Folder, Positional
from sensemble_apps.console.output import remark, say
from sensemble_apps.console.progress import stages
from sensemble_apps.errors import InputError
from sensemble_apps.runs.costs import show_costs
from sensemble_apps.runs.matrices import at_chance, most_robust
from sensemble_apps.runs.run_folder import BUNDLE, MATRIX, SELECTION, TRADE_OFF
from sensemble_apps.runs.tradeoff import show


@dataclass(frozen=True, kw_only=True)
class Export(Common):
    """Quantize and lower a trained model of a run into its `bundle/`.

    `sensemble export verify BUNDLE` measures how close its encoders are to their originals on this machine.
    """

    run: Positional[Folder]
    """A run folder that `sensemble train` or `sensemble demo` wrote."""
    method: Annotated[str, "NAME"] = "subset"
    """One of the run's methods."""
    train_modalities: Annotated[str | None, "SET"] = None
    """The modalities it was trained on (M_T); by default, the most robust M_T (R_best, Eq. 5)."""
    target: Annotated[tuple[str, ...], "NAME"] = ("executorch-xnnpack",)
    """The executors to export for: executorch-xnnpack, onnx, coreml."""
    scheme: Annotated[tuple[str, ...], "[TARGET:]MODALITY=SCHEME"] = ()
    """The quantization of a modality, such as `audio=int8-static`; by default, the target's usual scheme."""
    budget: Annotated[str | None, "LIMITS"] = None
    """Search for the best schemes within limits, for each target on its own, such as
    `size=20MB,latency=30ms,drop=1.0`: the size and the latency of all encoders together, and the points
    of accuracy that may be lost."""
    json: bool = False
    """Print the progress, and then the result, as one JSON object per line."""


def main(arguments: Export) -> None:
    """Export, and print the bundle's folder."""
    if arguments.budget is not None and arguments.scheme:
        raise InputError("--budget searches the schemes that --scheme sets: give one of them")
    budget = parse_budget(arguments.budget) if arguments.budget is not None else None
    asked = subsets.parse(arguments.train_modalities) if arguments.train_modalities else None
    method, train = most_robust(arguments.run / SELECTION, arguments.method, asked)
    targets, schemes = arguments.target, arguments.scheme
    export(arguments.run, method, train, targets, schemes, budget, in_json=arguments.json)
    bundle = str(arguments.run / BUNDLE)
    say(json.dumps({"bundle": bundle}) if arguments.json else bundle)


def export(
    run: Path,
    method: str,
    train: Subset,
    targets: Sequence[str] = ("executorch-xnnpack",),
    schemes: Sequence[str] = (),
    budget: Mapping[str, float] | None = None,
    *,
    in_json: bool = False,
) -> None:
    """Export as `export_run`, and print the costs of the bundle and the trade-off of a search.

    With `in_json`, progress alone is printed.
    """
    try:
        with stages(in_json=in_json) as progress:
            done = export_run(
                run, method, train, targets=targets, schemes=schemes, budget=budget, progress=progress
            )
    except BudgetError as error:
        _show_trade_offs(run, error.trade_offs, budget or {})
        raise
    if in_json:
        return
    _show_trade_offs(run, done.trade_offs, budget or {})
    show_costs(done.manifest, f"{done.measured} of {done.evaluated} examples")
    if (run / MATRIX).exists():  # not of a run that is still training other sets
        for line in at_chance(run / MATRIX, method, train):
            remark(f"warning: {line}")
    for line in (*describe_calibration(done.manifest), *describe_lowering(done.bundle / FILE_NAME)):
        remark(line)


def _show_trade_offs(run: Path, trade_offs: Iterable[TradeOff], budget: Mapping[str, float]) -> None:
    for trade_off in trade_offs:
        for reason in trade_off.skipped:
            remark(f"left out of the search: {reason}")
        show(trade_off.target, trade_off.options, budget, run / TRADE_OFF.format(target=trade_off.target))
