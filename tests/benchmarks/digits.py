"""What ships, its rivals and the paper's methods on `digits`, after contrastive pretraining and after MAE.

    uv run python tests/benchmarks/digits.py OUT [--seeds 0 1 2] [--mae-seeds 0] [--train all] [--read]

trains what OUT/seed<N> (contrastive) and OUT/mae-seed<N> lack, for the sets M_T of `--train` (`all` is every
one); `--read` trains nothing. The data is the digits of seed 1, which nothing was chosen by: the demo and all
trials have seed 0. It prints P, R and the strata (Sec. 3.2) of every method, as the mean over the seeds and
the range between them, by how many points the paper's pattern and ours hold, what each modality reaches when
trained on itself, and how far reconstruction fell.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table
from sensemble_apps.commands.data import digits
from sensemble_apps.console.progress import stages
from sensemble_runtime.auditing.robustness import Summary, summary
from sensemble_train.experiments import matrix
from sensemble_train.experiments.presets import EXPERIMENTS
from sensemble_train.recipe.run_folder import Matrix, read_matrix

sys.path.insert(0, str(Path(__file__).parents[1]))
from losses import read_losses

REPORTED = 1
"""The seed of the data for reporting."""
COLUMNS = ("P", "R", "P missing", "R missing", "P added", "R added", "P transfer", "R transfer")
ENDS = 20  # steps over which the first and the last loss are means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--mae-seeds", type=int, nargs="*", default=[])
    parser.add_argument("--train", nargs="*", default=["all"])
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
            train(experiment, folders, tuple(arguments.train))
        if folders:
            found[experiment] = [read_matrix(folder) for folder in folders.values()]
    console = Console(width=160)
    for experiment, matrices in found.items():
        console.print(table(experiment, matrices))
        for modality in set(matrices[0]["finetune"]) & {"audio", "text", "video"}:
            own = [each["finetune"][modality][modality] for each in matrices]
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


def train(experiment: str, folders: dict[int, Path], sets: tuple[str, ...]) -> None:
    """Train each M_T with each seed; all of them learn from the same clips."""
    for seed, folder in folders.items():
        config = EXPERIMENTS[experiment](str(digits(REPORTED).resolve()))
        with stages() as advance:
            matrix.run(replace(config, train_modalities=sets, seed=seed), folder, advance)


def table(experiment: str, matrices: Sequence[Matrix]) -> Table:
    """Table 1 of the paper for one way of pretraining, without the best P and R."""
    table = Table("method", *COLUMNS, title=f"{experiment}, seeds: {len(matrices)}")
    for method in matrix.ROWS:
        table.add_row(method, *(spread(column(matrices, method, name)) for name in COLUMNS))
    return table


def pattern(console: Console, experiment: str, matrices: Sequence[Matrix]) -> None:
    """Say by how many points each claim of Sec. 6.2, and ours, holds in each seed; above 0, it does."""
    claims = (
        ("MASD lifts finetuning", "masd", "finetune", ("P", "R", "P added", "P transfer", "R transfer")),
        ("WiSE-FT repairs Missing at Test", "masd+wiseft", "masd", ("P missing", "R missing")),
        ("and costs nothing elsewhere", "masd+wiseft", "masd", ("P", "R")),
        *(
            (f"subset distillation over {than}", "subset", than, ("P", "R"))
            for than in ("masd", "late_fusion", "labelled_subsets", "modality_dropout")
        ),
    )
    for claim, ours, than, names in claims:
        for name in names:
            pairs = zip(column(matrices, ours, name), column(matrices, than, name), strict=True)
            gains = ", ".join(f"{100 * (a - b):+.1f}" for a, b in pairs)
            console.print(f"{experiment}: {claim}, {name}: {gains}")


def compare(console: Console, contrastive: Sequence[Matrix], mae: Sequence[Matrix]) -> None:
    """Say how much better contrastive pretraining is, by the means over the seeds of each."""
    for method in matrix.ROWS:
        gains = []
        for name in COLUMNS:
            theirs, ours = (fmean(column(matrices, method, name)) for matrices in (mae, contrastive))
            gains.append(f"{name} {100 * (ours - theirs):+.1f}")
        console.print(f"contrastive over MAE, {method}: {', '.join(gains)}")


def column(matrices: Sequence[Matrix], method: str, name: str) -> list[float]:
    """Return one figure of a method in every matrix, in [0, 1]; none where no set is of its stratum."""
    found = [figures(summary(each[method])) for each in matrices]
    return [each[name] for each in found if name in each]


def figures(found: Summary) -> dict[str, float]:
    strata = (found.missing, found.added, found.transfer)
    values = (found.p, found.r, *(value for stratum in strata for value in (stratum.p, stratum.r)))
    return {name: value for name, value in zip(COLUMNS, values, strict=True) if value is not None}


def spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{100 * fmean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ({100 * min(values):.1f} to {100 * max(values):.1f})"


if __name__ == "__main__":
    main()
