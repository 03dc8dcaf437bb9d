"""The parts of subset distillation, one at a time, on `digits`.

    uv run python apps/benchmarks/ablations.py OUT [--seeds 0 1 2] [--train video audio+text+video] [--read]

trains what OUT/seed<N> lacks, a run folder with a row for each variant; killed, it goes on. `--read` trains
nothing. It prints R / P of each row on the split `calibrate`, by which we choose, as the mean over the seeds,
and its difference from `subset` in the same seeds: the rows of a seed and an M_T take the same batches.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from sensemble_apps.commands.data import digits
from sensemble_apps.console.progress import stages
from sensemble_runtime.auditing.robustness import per_train
from sensemble_runtime.subsets import name, parse
from sensemble_train.experiments import matrix
from sensemble_train.experiments.presets import EXPERIMENTS
from sensemble_train.models.model import Model
from sensemble_train.recipe.job import Cell
from sensemble_train.recipe.methods import distill_subsets
from sensemble_train.recipe.recipe import SHIPPED, Row, Rows
from sensemble_train.recipe.run_folder import Matrix, read_matrix

REFERENCE = "subset"


def varied(method: str, teacher: Callable[[Cell], Model], **changes: Any) -> Row:  # noqa: ANN401 - fields of the settings
    """Return a row of subset distillation by another teacher, which reads everything."""

    def row(cell: Cell) -> Model:
        settings = replace(cell.job.config.finetune, **changes)
        seed = cell.job.loop(f"{REFERENCE} {name(cell.train)}").seed
        return cell.trained(
            method,
            lambda loop: distill_subsets(
                replace(cell.start(replace(loop, seed=seed)), config=settings),
                cell.sources["distill"],
                teacher(cell),
                cell.background,
            ),
        )

    return row


ROWS: Rows = {
    **{method: matrix.ROWS[method] for method in ("finetune", "masd", "late_fusion")},
    **SHIPPED,
    "taught_by_finetuning": varied("taught_by_finetuning", matrix.ROWS["finetune"]),
    "taught_by_masd": varied("taught_by_masd", matrix.ROWS["masd"]),
    "taught_by_late_fusion": varied("taught_by_late_fusion", matrix.ROWS["late_fusion"]),
    "labels_alone": varied("labels_alone", matrix.ROWS["late_fusion"], background=0.0, distillation=0.0),
    "without_backgrounds": varied("without_backgrounds", matrix.ROWS["late_fusion"], background=0.0),
    "second_round": varied("second_round", Cell.subset),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--train", nargs="*", default=["video", "audio+text+video"])
    parser.add_argument("--read", action="store_true")
    arguments = parser.parse_args()
    runs = {seed: arguments.out / f"seed{seed}" for seed in arguments.seeds}
    if not arguments.read:
        for seed, run in runs.items():
            config = replace(EXPERIMENTS["digits"](str(digits(0).resolve())), seed=seed)
            with stages() as advance:
                matrix.run(replace(config, train_modalities=tuple(arguments.train)), run, advance, rows=ROWS)
    found = [read_matrix(run, "calibrate") for run in runs.values()]
    for train in arguments.train:
        print_table(found, name(parse(train)))


def print_table(found: list[Matrix], train: str) -> None:
    """Print a row for each method, and how it differs from `subset`."""
    print(f"\nM_T = {train}; R / P in % on calibrate, {len(found)} seeds\n")
    print("| | R / P | R and P less those of subset, by seed |")
    print("| --- | --- | --- |")
    for method in ROWS:
        points = [point(each, method, train) for each in found]
        mean = " / ".join(f"{100 * fmean(p[i] for p in points):.1f}" for i in (1, 0))
        gains = (
            " ".join(f"{100 * (ours[i] - reference[i]):+.1f}" for i in (1, 0))
            for ours, reference in zip(points, (point(each, REFERENCE, train) for each in found), strict=True)
        )
        print(f"| {method} | {mean} | {', '.join(gains)} |")


def point(found: Matrix, method: str, train: str) -> tuple[float, float]:
    """Return P and R of a row."""
    return per_train({train: found[method][train]})[train]


if __name__ == "__main__":
    main()
