"""The cost of a sensor that lies, against leaving it out.

`uv run python tests/benchmarks/lies.py BUNDLE DATA [SPLIT]` encodes a split (eval), gives one sensor or two
the windows of other persons and classes, in all scenes or in half of them, and scores the set of all sensors:
all pooled, as a session answers, and without the liars. It says after how many scenes the first is suspected.
"""

import sys
from itertools import combinations
from timeit import timeit

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sensemble_runtime.auditing.policy import PlainAnswers, Sessions, policy_answers, together
from sensemble_runtime.auditing.reliability import Outcomes, outcomes
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.session.suspicion import Suspicion
from sensemble_runtime.subsets import Subset, name, subsets
from sensemble_sensors.media.dataset import read_dataset
from weights import Split, encode

Logits = NDArray[np.float32]
"""Of each modality alone, [n, N, C]."""


def lied(split: Split, liars: tuple[int, ...], share: float) -> Logits:
    """Return the logits where liars show another person's window of another class, in a share of scenes."""
    draw, found, truth, groups = np.random.default_rng(0), split.logits.copy(), split.truth, split.groups
    for row in liars:
        for i in np.flatnonzero(draw.random(len(truth)) < share):
            others = np.flatnonzero((truth != truth[i]) & (groups != groups[i]))
            found[row, i] = split.logits[row, draw.choice(others)]
    return found


def answered(bundle: Bundle, truth: NDArray[np.int64], logits: Logits) -> list[dict[Subset, Outcomes]]:
    """Return the outcomes of each subset, pooled and as a session answers."""
    plain = PlainAnswers(bundle.judge, pool_subsets(logits), bundle.modalities)
    there = {m: np.ones(len(truth), bool) for m in bundle.modalities}
    ways = together(plain, there), Sessions(bundle.modalities, "multi-class").used(plain, there)
    return [
        {
            s: outcomes(found, truth, "multi-class")
            for s, found in policy_answers(bundle.judge, plain, w).items()
        }
        for w in ways
    ]


def delay(bundle: Bundle, logits: Logits, liar: int) -> str:
    """Return how many scenes pass before a sensor is left out."""
    plain = PlainAnswers(bundle.judge, pool_subsets(logits), bundle.modalities)
    there = {m: np.ones(logits.shape[1], bool) for m in bundle.modalities}
    used = Sessions(bundle.modalities, "multi-class").used(plain, there)[tuple(bundle.modalities)]
    return "never" if used[liar].all() else str(used[liar].argmin())


def percent(share: float) -> str:
    """Write a share."""
    return f"{100 * share:.1f}"


def main() -> None:
    """Print the tables."""
    bundle, data = Bundle.open(sys.argv[1]), read_dataset(sys.argv[2])
    examples = data.split(sys.argv[3] if len(sys.argv) > 3 else "eval")
    modalities, every = bundle.modalities, tuple(bundle.modalities)
    split = encode(bundle, [e for e in examples if {*modalities} <= {*e.modalities}])
    console = Console(soft_wrap=True)
    honest, given = answered(bundle, split.truth, split.logits)
    table = Table("live set", "pooled", "as answered", title=f"{len(split.truth)} examples, no lie, % right")
    for subset in subsets(modalities):
        table.add_row(name(subset), percent(honest[subset].right.mean()), percent(given[subset].right.mean()))
    console.print(table)

    columns = ("pooled", "unsure", "as answered", "unsure", "right if sure", "without", "found after")
    table = Table("liars", "of scenes", *columns, title=f"{name(every)}, %")
    rows = range(len(modalities))
    for liars in (*((row,) for row in rows), *combinations(rows, 2)):
        for share in (1.0, 0.5):
            logits = lied(split, liars, share)
            before, after = (found[every] for found in answered(bundle, split.truth, logits))
            rest = tuple(m for row, m in enumerate(modalities) if row not in liars)
            table.add_row(
                name(modalities[row] for row in liars),
                f"{share:.0%}",
                percent(before.right.mean()),
                percent(1 - before.sure.mean()),
                percent(after.right.mean()),
                percent(1 - after.sure.mean()),
                percent(after.right[after.sure].mean()),
                percent(honest[rest].right.mean()),
                delay(bundle, logits, liars[0]),
            )
    console.print(table)

    suspicion, opinion = Suspicion(modalities), np.full(split.logits.shape[2], 0.1, np.float32)
    opinions = dict.fromkeys(modalities, opinion)
    seconds = min(timeit(lambda: suspicion.note(opinions, 0), number=1000) for _ in range(5)) / 1000
    console.print(f"a moment costs {1e6 * seconds:.0f} us")


if __name__ == "__main__":
    main()
