"""The worth of calibration on a dataset, and whether coverage is as the theory says.

`uv run python tests/benchmarks/calibration.py BUNDLE DATA` fits it on `calibrate` and reports on `eval`:
for each subset its mean confidence, the expected calibration error before, after and by chance alone, the
share unsure, the accuracy of the rest, and the coverage of the candidates. Then it mixes both splits, divides
them anew 200 times, and prints the mean coverage, and how many divisions lie within the 95 % band of the
beta-binomial law.
"""

import math

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import betabinom
from sensemble_runtime.auditing.calibration import ALPHA, calibrate
from sensemble_runtime.auditing.reliability import Reliability, reliabilities
from sensemble_runtime.bundle.manifest import Calibration
from sensemble_runtime.pooling import pool_subsets
from weights import Split, opened

DIVISIONS = 200


def judge(fitted: Split, new: Split, modalities: tuple[str, ...]) -> dict[str, Reliability]:
    """Fit on one split, and return the reliability on the other, by subset."""
    present = [dict(zip(modalities, split.present, strict=True)) for split in (fitted, new)]
    found = calibrate(pool_subsets(fitted.logits), present[0], fitted.truth, "multi-class")
    return reliabilities(
        pool_subsets(new.logits), present[1], new.truth, "multi-class", Calibration(ALPHA, found, {})
    )


def divided(fitted: Split, new: Split, modalities: tuple[str, ...]) -> Table:
    """Return the coverage of random divisions of both splits; only where every example has all modalities."""
    whole = Split(
        *(
            np.concatenate([getattr(fitted, field), getattr(new, field)], axis=axis)
            for field, axis in (("logits", 1), ("present", 1), ("truth", 0), ("groups", 0))
        )
    )
    n, count = len(fitted.truth), len(whole.truth)
    rank = math.ceil((1 - ALPHA) * (n + 1))
    law = betabinom(count - n, rank, n + 1 - rank)
    low, high = law.ppf(0.025) / (count - n), law.ppf(0.975) / (count - n)
    draw = np.random.default_rng(0)
    coverage: dict[str, list[float]] = {}
    for _ in range(DIVISIONS):
        order = draw.permutation(count)
        first, rest = (
            Split(whole.logits[:, rows], whole.present[:, rows], whole.truth[rows], whole.groups[rows])
            for rows in (order[:n], order[n:])
        )
        for name, found in judge(first, rest, modalities).items():
            coverage.setdefault(name, []).append(found.covered)
    expected, band = 100 * rank / (n + 1), f"{100 * low:.1f} to {100 * high:.1f}"
    title = f"{DIVISIONS} divisions, {n} fitted: expected {expected:.1f}, band {band}"
    table = Table("live set", "coverage, %", "in the band, %", title=title)
    for name, shares in coverage.items():
        inside = np.mean([low <= share <= high for share in shares])
        table.add_row(name, f"{100 * np.mean(shares):.1f}", f"{100 * inside:.1f}")
    return table


def main() -> None:
    """Print both tables."""
    bundle, fitted, new = opened(__doc__)
    columns = ("confidence", "ECE before", "after", "by chance", "unsure", "right if sure", "covered")
    table = Table("live set", *columns, title=f"fitted on {len(fitted.truth)}, measured on {len(new.truth)}")
    for name, found in judge(fitted, new, bundle.modalities).items():
        shares = (
            found.confidence,
            found.uncalibrated_error,
            found.calibration_error,
            found.chance_error,
            found.unsure,
            math.nan if found.sure_right is None else found.sure_right,
            found.covered,
        )
        table.add_row(name, *(f"{100 * share:.1f}" for share in shares))
    Console(soft_wrap=True).print(table, divided(fitted, new, bundle.modalities))


if __name__ == "__main__":
    main()
