"""The gain of MASD and WiSE-FT on `digits`, after contrastive pretraining and after MAE: all seven M_T.

    uv run python tests/benchmarks/digits.py OUT [--seeds 0 1 2] [--mae-seeds 0] [--read]

trains what OUT/seed<N> (contrastive) and OUT/mae-seed<N> lack; `--read` trains nothing. It prints P, R and
the strata (Sec. 3.2) of every method, as the mean over the seeds and the range between them, R as a share of
the ceiling (what the worst modality's specialist reaches, trained on all labels), by how much the paper's
pattern and ours hold, what each modality reaches when trained on itself, and how far reconstruction fell.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table
from sensemble_apps.commands.data.build import digits
from sensemble_apps.console.progress import stages
from sensemble_runtime.auditing.robustness import Summary, summary
from sensemble_train.recipe import recipe
from sensemble_train.recipe.experiments import EXPERIMENTS
from sensemble_train.recipe.methods import METHODS
from sensemble_train.recipe.run_folder import Matrix, ceiling, read_matrix

sys.path.insert(0, str(Path(__file__).parents[1]))
from losses import read_losses

BASELINE, OURS = "finetune", ("masd+wiseft", "subset", "subset+wiseft")
COLUMNS = ("P", "R", "P missing", "R missing", "P added", "R added", "P transfer", "R transfer")
ENDS = 20  # steps over which the first and the last loss are means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--mae-seeds", type=int, nargs="*", default=[])
    parser.add_argument("--read", action="store_true")
    arguments = parser.parse_args()
    out: Path = arguments.out
    runs = {
        "digits": {seed: out / f"seed{seed}" for seed in arguments.seeds},
        "digits_mae": {seed: out / f"mae-seed{seed}" for seed in arguments.mae_seeds},
    }
    found = {}
    for experiment, folders in runs.items():
        if not arguments.read:
            train(experiment, folders)
        if folders:
            found[experiment] = [read_matrix(folder) for folder in folders.values()]
    console = Console(width=160)
    for experiment, matrices in found.items():
        ceilings = [min(json.loads(ceiling(run).read_text()).values()) for run in runs[experiment].values()]
        console.print(table(experiment, matrices, ceilings))
        for modality in ("audio", "text", "video"):
            own = [matrix["finetune"][modality][modality] for matrix in matrices]
            console.print(f"{modality} finetuned and evaluated on itself: {spread(own)}")
    for experiment, matrices in found.items():
        pattern(console, experiment, matrices)
    if len(found) == 2:
        compare(console, found["digits"], found["digits_mae"])
    for seed, folder in runs["digits_mae"].items():
        losses = read_losses(folder / "pretrained")
        first, last = fmean(losses[:ENDS]), fmean(losses[-ENDS:])
        console.print(
            f"reconstruction of seed {seed}, {len(losses)} steps: {first:.3f} first, {last:.3f} last"
        )


def train(experiment: str, folders: dict[int, Path]) -> None:
    """Train every M_T with each seed; all of them learn from the same clips."""
    for seed, folder in folders.items():
        config = EXPERIMENTS[experiment](str(digits(0).resolve()))
        with stages() as advance:
            recipe.run(replace(config, train_modalities=("all",), seed=seed, ceiling=True), folder, advance)


def table(experiment: str, matrices: Sequence[Matrix], ceilings: Sequence[float]) -> Table:
    """Table 1 of the paper for one way of pretraining, without the best P and R, and with the share."""
    title = f"{experiment}, seeds: {len(matrices)}, ceiling: {spread(ceilings)}"
    table = Table("method", *COLUMNS, "share of the ceiling", title=title)
    for method in METHODS:
        shares = [r / c for r, c in zip(column(matrices, method, "R"), ceilings, strict=True)]
        figures = (spread(column(matrices, method, name)) for name in COLUMNS)
        table.add_row(method, *figures, spread(shares))
    return table


def pattern(console: Console, experiment: str, matrices: Sequence[Matrix]) -> None:
    """Say by how many points each claim of Sec. 6.2, and ours, holds in each seed; above 0, it does."""
    claims = (
        ("MASD lifts finetuning", "masd", "finetune", ("P", "R", "P added", "P transfer", "R transfer")),
        ("WiSE-FT repairs Missing at Test", "masd+wiseft", "masd", ("P missing", "R missing")),
        ("and costs nothing elsewhere", "masd+wiseft", "masd", ("P", "R")),
        ("subset distillation lifts MASD", "subset", "masd", ("P", "R", "P added", "P transfer")),
    )
    for claim, ours, than, names in claims:
        for name in names:
            pairs = zip(column(matrices, ours, name), column(matrices, than, name), strict=True)
            gains = ", ".join(f"{100 * (a - b):+.1f}" for a, b in pairs)
            console.print(f"{experiment}: {claim}, {name}: {gains}")
    for ours in OURS:
        for name in ("P", "R", "P transfer"):
            pairs = zip(column(matrices, ours, name), column(matrices, BASELINE, name), strict=True)
            console.print(
                f"{experiment}: {ours} over {BASELINE}, {name}: {', '.join(f'{a / b:.2f}' for a, b in pairs)}"
            )


def compare(console: Console, contrastive: Sequence[Matrix], mae: Sequence[Matrix]) -> None:
    """Say how much better contrastive pretraining is, by the means over the seeds of each."""
    for method in METHODS:
        gains = []
        for name in COLUMNS:
            theirs, ours = (fmean(column(matrices, method, name)) for matrices in (mae, contrastive))
            gains.append(f"{name} {100 * (ours - theirs):+.1f}")
        console.print(f"contrastive over MAE, {method}: {', '.join(gains)}")


def column(matrices: Sequence[Matrix], method: str, name: str) -> list[float]:
    """Return one figure of a method in every matrix, in [0, 1]."""
    return [figures(summary(matrix[method]))[name] for matrix in matrices]


def figures(found: Summary) -> dict[str, float]:
    strata = (found.missing, found.added, found.transfer)
    values = (found.p, found.r, *(value for stratum in strata for value in (stratum.p, stratum.r)))
    return {name: value for name, value in zip(COLUMNS, values, strict=True) if value is not None}


def spread(values: Sequence[float]) -> str:
    mean = f"{100 * fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({100 * min(values):.1f} to {100 * max(values):.1f})"


if __name__ == "__main__":
    main()
