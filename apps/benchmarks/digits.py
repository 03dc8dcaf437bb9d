"""The shipped method, late fusion and the paper's methods on `digits`.

    uv run python apps/benchmarks/digits.py OUT [--seeds 0 1 2] [--train all] [--read]

trains what OUT/seed<N> lacks, for the sets M_T of `--train` (`all` is every one); `--read` trains nothing.
The data is the digits of seed 1, which nothing was chosen by: the demo and all trials have seed 0. It prints
P, R and the strata (Sec. 3.2) of every method, as the mean over the seeds and the range between them, by how
many points the paper's pattern and ours hold, and what each modality reaches when trained on itself.
"""

import argparse
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

REPORTED = 1
"""The seed of the data for reporting."""
COLUMNS = ("P", "R", "P missing", "R missing", "P added", "R added", "P transfer", "R transfer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--train", nargs="*", default=["all"])
    parser.add_argument("--read", action="store_true")
    arguments = parser.parse_args()
    out: Path = arguments.out
    folders = {seed: out / f"seed{seed}" for seed in arguments.seeds}
    if not arguments.read:
        train(folders, tuple(arguments.train))
    matrices = [read_matrix(folder) for folder in folders.values()]
    console = Console(width=160)
    console.print(table(matrices))
    for modality in set(matrices[0]["finetune"]) & {"audio", "text", "video"}:
        own = [each["finetune"][modality][modality] for each in matrices]
        console.print(f"{modality} finetuned and evaluated on itself: {spread(own)}")
    pattern(console, matrices)


def train(folders: dict[int, Path], sets: tuple[str, ...]) -> None:
    """Train each M_T with each seed; all of them learn from the same clips."""
    for seed, folder in folders.items():
        config = EXPERIMENTS["digits"](str(digits(REPORTED).resolve()))
        with stages() as advance:
            matrix.run(replace(config, train_modalities=sets, seed=seed), folder, advance)


def table(matrices: Sequence[Matrix]) -> Table:
    """Table 1 of the paper, without the best P and R."""
    table = Table("method", *COLUMNS, title=f"digits, seeds: {len(matrices)}")
    for method in matrix.ROWS:
        table.add_row(method, *(spread(column(matrices, method, name)) for name in COLUMNS))
    return table


def pattern(console: Console, matrices: Sequence[Matrix]) -> None:
    """Say by how many points each claim of Sec. 6.2, and ours, holds in each seed; above 0, it does."""
    claims = (
        ("MASD lifts finetuning", "masd", "finetune", ("P", "R", "P added", "P transfer", "R transfer")),
        ("WiSE-FT repairs Missing at Test", "masd+wiseft", "masd", ("P missing", "R missing")),
        ("and costs nothing elsewhere", "masd+wiseft", "masd", ("P", "R")),
        *(
            (f"subset distillation over {than}", "subset", than, ("P", "R"))
            for than in ("masd", "late_fusion")
        ),
    )
    for claim, ours, than, names in claims:
        for name in names:
            pairs = zip(column(matrices, ours, name), column(matrices, than, name), strict=True)
            gains = ", ".join(f"{100 * (a - b):+.1f}" for a, b in pairs)
            console.print(f"{claim}, {name}: {gains}")


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
