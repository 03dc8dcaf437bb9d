"""Compare Eq. 7's mean with fixed weights, one for each modality and subset, learned on `calibrate`.

`uv run python apps/benchmarks/weights.py BUNDLE DATA`. The weights of a subset minimize the cross-entropy of
softmax(sum of a_m x logits of modality m), a_m >= 0, over the examples of `calibrate` that have all its
modalities. That is convex, and a common factor of the a_m is no more than a temperature. Both are scored on
`eval`, where nothing is chosen; a difference counts as won only if its interval leaves out 0.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.subsets import Subset, name, subsets
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Dataset, Example, read_dataset

RESAMPLES = 2000


@dataclass(frozen=True)
class Split:
    """Logits [n, N, C] and familiarity [n, N] of n modalities, who has and knows them, truth and groups."""

    logits: NDArray[np.float32]
    likeness: NDArray[np.float32]
    present: NDArray[np.bool_]
    familiar: NDArray[np.bool_]
    truth: NDArray[np.int64]
    groups: NDArray[np.int64]

    def having(self, rows: list[int]) -> "Split":
        """Keep the examples that have all modalities in `rows`, and these modalities."""
        has = self.present[rows].all(axis=0)
        marks = self.present[rows][:, has], self.familiar[rows][:, has]
        said = self.logits[rows][:, has], self.likeness[rows][:, has]
        return Split(*said, *marks, self.truth[has], self.groups[has])


def encode(bundle: Bundle, examples: Sequence[Example]) -> Split:
    """Encode examples, each modality by the artifact that ships."""
    classes, modalities = len(bundle.manifest.labels), bundle.modalities
    logits = np.zeros((len(modalities), len(examples), classes), np.float32)
    likeness, known = np.zeros(logits.shape[:2], np.float32), bundle.head.familiarity
    assert known is not None, "the bundle has no scores of familiarity"
    present, familiar = np.zeros((2, *logits.shape[:2]), bool)
    for column, example in enumerate(examples):
        for row, modality in enumerate(modalities):
            if modality in example.modalities:
                window = kind_of(bundle.specs[modality]).window(example, bundle.specs[modality])
                embedding = bundle.encode(modality, window)
                logits[row, column] = bundle.head.logits(embedding)
                likeness[row, column] = known.scores(row, embedding)
                familiar[row, column] = bundle.classifier.are_familiar(modality, embedding)
                present[row, column] = True
    truth = np.array([bundle.manifest.labels.index(example.labels[0]) for example in examples])
    return Split(
        logits, likeness, present, familiar, truth, group_codes([example.group for example in examples])
    )


def learn(split: Split) -> NDArray[np.float64]:
    """Return the a_m of a subset, float64 [n]."""
    logits, rows = split.logits.astype(np.float64), np.arange(len(split.truth))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mixed = np.tensordot(weights, logits, axes=1)
        error = softmax(mixed, axis=1)
        error[rows, split.truth] -= 1
        slope = np.tensordot(logits, error, axes=((1, 2), (0, 1))) / len(rows)
        return -float(log_softmax(mixed, axis=1)[rows, split.truth].mean()), slope

    start = np.full(len(logits), 1 / len(logits))
    found = minimize(loss, start, jac=True, bounds=[(0, None)] * len(start), method="L-BFGS-B")
    return np.asarray(found.x)


def difference(
    mean: NDArray[np.bool_], weighed: NDArray[np.bool_], groups: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the 95 % interval of the gain of weights, in points: a bootstrap of whole groups."""
    gains = weighed.astype(float) - mean
    _, codes = np.unique(groups, return_inverse=True)
    totals, sizes = np.bincount(codes, gains), np.bincount(codes)
    drawn = np.random.default_rng(0).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    low, high = np.quantile(100 * totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def compare(bundle: Bundle, subset: Subset, fitted: Split, new: Split) -> list[str] | None:
    """Return a row of the table; None without examples."""
    rows = [bundle.modalities.index(modality) for modality in subset]
    fitted, new = fitted.having(rows), new.having(rows)
    if not len(fitted.truth) or not len(new.truth):
        return None
    weights = learn(fitted)
    mean = new.logits.mean(axis=0).argmax(axis=1) == new.truth
    weighed = np.tensordot(weights, new.logits, axes=1).argmax(axis=1) == new.truth
    low, high = difference(mean, weighed, new.groups)
    shares = weights / weights.sum()
    return [
        name(subset),
        f"{100 * mean.mean():.1f}",
        f"{100 * weighed.mean():.1f}",
        f"{100 * (weighed.mean() - mean.mean()):+.1f} ({low:+.1f} to {high:+.1f})",
        ", ".join(f"{m} {share:.2f}" for m, share in zip(subset, shares, strict=True)),
        f"{len(fitted.truth)}, {len(new.truth)}",
    ]


def arguments(description: str | None) -> tuple[Bundle, Dataset]:
    """Return the bundle and the data that the command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("bundle")
    parser.add_argument("data")
    given = parser.parse_args()
    return Bundle.open(given.bundle), read_dataset(given.data)


def main() -> None:
    """Print a table of the subsets of two and more modalities."""
    bundle, dataset = arguments(__doc__)
    fitted, new = (encode(bundle, dataset.split(split)) for split in ("calibrate", "eval"))
    table = Table("live set", "Eq. 7, %", "weights, %", "gain (95 %)", "weights", "examples")
    for subset in subsets(bundle.modalities):
        if len(subset) > 1 and (row := compare(bundle, subset, fitted, new)):
            table.add_row(*row)
    Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
