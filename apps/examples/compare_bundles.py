"""Compare two bundles on every subset of sensors of one dataset.

    uv run python apps/examples/compare_bundles.py BUNDLE BUNDLE CLIPS

prints how accurate each is, and by how many points the second is better.
"""

import sys

from sensemble_runtime import Bundle, audit
from sensemble_sensors import read_dataset


def main(first: str, second: str, clips: str) -> None:
    """Audit both on the split eval; print a row for each subset, and the mean and the worst of them."""
    examples = read_dataset(clips).split("eval")
    before, after = (audit(Bundle.open(bundle), examples) for bundle in (first, second))
    for subset in before.subsets:
        show(subset, before.subsets[subset].accuracy, after.subsets[subset].accuracy)
    show("P, the mean", before.p, after.p)
    show("R, the worst", before.r, after.r)


def show(title: str, before: float, after: float) -> None:
    """Print one row."""
    print(f"{title:20} {before:6.1%} {after:6.1%} {100 * (after - before):+6.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
