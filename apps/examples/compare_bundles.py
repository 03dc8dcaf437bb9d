"""Compare two bundles on every live set of one dataset.

    uv run python apps/examples/compare_bundles.py BUNDLE BUNDLE CLIPS

prints how often each answers right, by how many points the second is better, and which answers it lost.
"""

import sys

from sensemble_runtime import Bundle, audit, compare
from sensemble_sensors import read_dataset


def main(first: str, second: str, clips: str) -> None:
    """Audit both on the split eval; print a row for each live set, and a line for the largest."""
    examples = read_dataset(clips).split("eval")
    before, after = (audit(Bundle.open(bundle), examples) for bundle in (first, second))
    found = compare(before, after)
    for subset, one in found.sets.items():
        low, high = 100 * one.change.low, 100 * one.change.high
        scores = f"{one.before.accuracy:6.1%} {one.after.accuracy:6.1%}"
        print(f"{subset:20} {scores} {low:+6.1f} to {high:+.1f}")
    print("lost with all sensors:", *found.sets[found.fullest].lost)
    print(found)


if __name__ == "__main__":
    main(*sys.argv[1:])
