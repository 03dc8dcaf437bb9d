"""What MASD and WiSE-FT are worth on `digits`: all seven M_T, several seeds, each finished cell kept.

    uv run python tests/benchmarks/digits.py OUT [--seeds 0 1 2]

prints P, R and the strata (Sec. 3.2) of every method, as the mean over the seeds and the range between them,
the gain of MASD+WiSE-FT over finetuning in each seed, and what each modality reaches when trained on itself.
"""

import argparse
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table
from sensemble_apps.commands.data_build import digits
from sensemble_apps.progress import stages
from sensemble_runtime.robustness import Summary, summary
from sensemble_train import recipe
from sensemble_train.config import Config
from sensemble_train.methods import METHODS

BASELINE, OURS = "finetune", "masd+wiseft"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    data = digits(0)
    matrices = []
    for seed in arguments.seeds:
        with stages() as advance:
            config = Config(str(data.resolve()), ("all",), seed)
            matrices.append(recipe.run(config, arguments.out / f"seed{seed}", advance))
    console = Console()
    summaries = [{method: summary(matrix[method]) for method in METHODS} for matrix in matrices]
    table = Table("method", "P", "R", "P transfer", "R transfer", "P missing", "P added")
    for method in METHODS:
        columns = zip(*(_figures(of_seed[method]) for of_seed in summaries), strict=True)
        table.add_row(method, *(_spread(column) for column in columns))
    console.print(table)
    for label, place in (("P", 0), ("R", 1), ("P transfer", 2)):
        ratios = [_figures(s[OURS])[place] / _figures(s[BASELINE])[place] for s in summaries]
        console.print(f"{label}: {OURS} over {BASELINE}: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    for modality in ("audio", "text", "video"):
        own = [matrix[BASELINE][modality][modality] for matrix in matrices]
        console.print(f"{modality} trained and evaluated on itself: {_spread(own)}")


def _figures(found: Summary) -> tuple[float, ...]:
    strata = (found.transfer.p, found.transfer.r, found.missing.p, found.added.p)
    return (found.p, found.r, *(value for value in strata if value is not None))


def _spread(values: tuple[float, ...] | list[float]) -> str:
    return f"{100 * fmean(values):.1f} ({100 * min(values):.1f} to {100 * max(values):.1f})"


if __name__ == "__main__":
    main()
