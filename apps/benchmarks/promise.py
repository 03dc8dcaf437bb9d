"""The promise of sure answers by several bounds: for simulated people, and for real ones divided anew.

`uv run python apps/benchmarks/promise.py [BUNDLE DATA]` draws people whose rates of error are
beta-distributed (`alike` is the sum of its parameters), also with some who get nothing but wrong answers that
are as sure as right ones. It prints the share of a new person's answers that is sure and wrong, and the share
of the right ones that is held back, on average over draws of the people that the threshold is fitted to. With
a bundle, the people of `calibrate` and `eval`, whom no encoder has seen (but for a linear student, which
learns from `calibrate`), are divided into known and new ones 60 times, and temperatures, redundancy and
threshold are fitted anew.

The ways: `mean` of the known people; conformal risk control with one more person who is always wrong (`bound
1`), or who is as the worst one seen (`worst seen`, ships); the budget that keeps the risk when each person in
turn is left out (`left out`); a bound of confidence 90 % by betting (Waudby-Smith and Ramdas, 2024). What
ships counts answers with a liar as often as sensors lie; `liars apart` keeps the risk with each of them.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from belief import World, world
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sensemble_runtime.auditing import calibration
from sensemble_runtime.auditing.calibration import RISK, calibrate, fit_redundancy, least_threshold
from sensemble_runtime.auditing.reliability import outcomes
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.head import calibrated
from sensemble_runtime.engine.answer import answer
from sensemble_runtime.subsets import Subset, measured
from sensemble_sensors.media.dataset import read_dataset

Floats = NDArray[np.floating]
Way = Callable[[Floats, NDArray[np.bool_], Floats, NDArray[np.integer], float], float]
Drawn = tuple[Floats, NDArray[np.bool_], Floats, NDArray[np.integer]]

GRID = np.linspace(0.5, 1, 251)
APART = "liars apart"
DRAWS, DIVISIONS, PEOPLE, ANSWERS = 100, 60, (19, 24, 40, 60), 25


def mean(shares: Floats, risk: float) -> NDArray[np.bool_]:
    """Return the thresholds at which the people known keep the risk; `shares` is [people, thresholds]."""
    return np.asarray(shares.mean(axis=0) <= risk + 1e-9)


def bound_1(shares: Floats, risk: float) -> NDArray[np.bool_]:
    """Return those at which they do with a person who is always wrong."""
    return np.asarray((shares.sum(axis=0) + 1) / (len(shares) + 1) <= risk + 1e-9)


def left_out(shares: Floats, risk: float) -> NDArray[np.bool_]:
    """Return those that keep the largest budget by which each person, left out, keeps the risk."""
    n, total, best = len(shares), shares.sum(axis=0), 0.0
    for budget in np.linspace(0.002, 2 * risk, 50):
        kept = (total - shares) / (n - 1) <= budget + 1e-9
        places = np.where(kept.any(axis=1), kept.argmax(axis=1), len(total) - 1)
        if shares[np.arange(n), places].mean() > risk:
            break
        best = budget
    return mean(shares, best)


def betting(shares: Floats, risk: float) -> NDArray[np.bool_]:
    """Return those at which a fair bet against a mean above the risk wins 10 to 1, from the highest down."""
    n, odds = len(shares), 10.0
    counts = np.arange(2, n + 2)[:, np.newaxis]
    means = (0.5 + np.cumsum(shares, axis=0)) / counts
    spread = (0.25 + np.cumsum((shares - means) ** 2, axis=0)) / counts
    before = np.vstack([np.full((1, shares.shape[1]), 0.25), spread[:-1]])
    stakes = np.minimum(np.sqrt(2 * np.log(odds) / (n * before)), 0.9 / (1 - risk))
    won = np.cumsum(np.log1p(stakes * (risk - shares)), axis=0).max(axis=0) >= np.log(odds)
    return np.asarray(np.logical_and.accumulate(won[::-1])[::-1])


def by_shares(rule: Callable[[Floats, float], NDArray[np.bool_]]) -> Way:
    """Return the way that takes the least threshold of `GRID` that a rule allows; 2 if it allows none."""

    def way(
        confidences: Floats,
        wrong: NDArray[np.bool_],
        weights: Floats,
        groups: NDArray[np.integer],
        risk: float,
    ) -> float:
        _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        kinds, rows = np.nonzero(wrong)
        reached = np.searchsorted(GRID, confidences[wrong], side="right")
        cells = places[rows] * (len(GRID) + 1) + reached
        counts = np.bincount(cells, weights[kinds], len(sizes) * (len(GRID) + 1)).reshape(len(sizes), -1)
        shares = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:] / sizes[:, np.newaxis]
        allowed = rule(shares, risk)
        return float(GRID[allowed.argmax()]) if allowed.any() else 2.0

    return way


WAYS: dict[str, Way] = {
    "mean": by_shares(mean),
    "bound 1": by_shares(bound_1),
    "worst seen": least_threshold,
    "left out": by_shares(left_out),
    "betting": by_shares(betting),
}


def drawn(random: np.random.Generator, people: int, error: float, alike: float, hopeless: float) -> Drawn:
    """Return the confidences [1, N] of answers, whether they are wrong, their weight, and whose they are."""
    errors = random.beta(error * alike, (1 - error) * alike, people)
    lost = random.random(people) < hopeless
    wrong = random.random((people, ANSWERS)) < np.where(lost, 1, errors)[:, np.newaxis]
    clear = np.where(wrong & ~lost[:, np.newaxis], 0.9, 2.6) + 1.3 * random.normal(size=wrong.shape)
    clear += 0.6 * random.normal(size=(people, 1))
    confidences, owners = 1 / (1 + np.exp(-clear.reshape(1, -1))), np.arange(people).repeat(ANSWERS)
    return confidences, wrong.reshape(1, -1), np.ones(1), owners


def simulated() -> Table:
    """Return the table of simulated people."""
    table = Table("error", "alike", "hopeless", "people", *WAYS, title="sure and wrong / right, held back, %")
    worlds = [(e, a, 0.0) for e in (0.08, 0.3) for a in (2.0, 8.0, 40.0)]
    worlds += [(0.08, 40.0, 0.02), (0.08, 40.0, 0.06)]
    for error, alike, hopeless in worlds:
        random = np.random.default_rng(0)
        new, wrong, *_ = drawn(random, 4000, error, alike, hopeless)
        for people in PEOPLE:
            found: dict[str, list[tuple[float, float]]] = {one: [] for one in WAYS}
            for _ in range(DRAWS):
                known = drawn(random, people, error, alike, hopeless)
                for one, way in WAYS.items():
                    sure = new >= max(0.5, way(*known, RISK))
                    found[one].append((float((sure & wrong).mean()), float((~sure)[~wrong].mean())))
            numbers = f"{error:g}", f"{alike:g}", f"{hopeless:g}", f"{people}"
            table.add_row(*numbers, *(_shares(*np.mean(each, axis=0)) for each in found.values()))
    return table


def apart(asked: Iterable[Drawn]) -> Iterator[Drawn]:
    """Yield the answers without a liar, and those of three or more sensors while one lies, each by itself."""
    for confidences, wrong, _, owners in asked:
        for row in range(len(confidences) if len(confidences) > 3 else 1):
            yield confidences[row : row + 1], wrong[row : row + 1], np.ones(1), owners


def redivided(bundle: Bundle, every: World) -> Iterator[Table]:
    """Yield a table for each number of people that all is fitted to."""
    task, sets, total = bundle.manifest.task, measured(bundle.modalities), len(np.unique(every.groups))
    for count in [one for one in PEOPLE if one <= total - 5]:
        random = np.random.default_rng(0)
        wrong: dict[tuple[str, Subset], list[float]] = {}
        held: dict[str, list[tuple[float, float, float]]] = {}
        for _ in range(DIVISIONS):
            old = np.isin(every.groups, random.permutation(total)[:count])
            usable = {m: there[old] for m, there in every.usable.items()}
            logits = {m: rows[old] for m, rows in every.logits.items()}
            fitted = calibrate(logits, usable, every.truth[old], task, every.groups[old])
            evidence = {
                m: replace(
                    every.evidence[m], classes=calibrated(rows, fitted[m].temperature, fitted[m].power, task)
                )
                for m, rows in every.logits.items()
            }
            anew = replace(every, evidence=evidence)
            own, new = anew.take(old), anew.take(~old)
            redundancy = fit_redundancy(own.evidence, own.usable, own.truth, task)
            asked: list[Drawn] = []

            def note(*given: Floats | float, asked: list[Drawn] = asked) -> float:
                asked.append(given[:4])  # type: ignore[arg-type]
                return 0.0

            with patch.object(calibration, "least_threshold", note):
                calibration.fit_threshold(own.evidence, own.present, own.truth, task, own.groups, redundancy)
            thresholds = {
                one: max(calibration.MAJORITY, *(way(*each, RISK) for each in asked))
                for one, way in WAYS.items()
            }
            for one in (APART, f"{APART}, bound 1"):
                way = WAYS["worst seen" if one == APART else "bound 1"]
                thresholds[one] = max(calibration.MAJORITY, *(way(*each, RISK) for each in apart(asked)))
            lies = [
                outcomes(
                    answer(lied.evidence, lied.present, sets[-1], redundancy, task, 0.0), new.truth, task
                )
                for lied in map(new.lied, bundle.modalities)
            ]
            for subset in sets:
                found = outcomes(
                    answer(new.evidence, new.present, subset, redundancy, task, 0.0), new.truth, task
                )
                for one, threshold in thresholds.items():
                    sure = found.sure & (found.confidences >= threshold)
                    bad = sure & ~found.right
                    shares = [bad[new.groups == group].mean() for group in np.unique(new.groups)]
                    wrong.setdefault((one, subset), []).append(float(np.mean(shares)))
                    if subset == sets[-1]:
                        share = float((~sure)[found.right].mean())
                        lied = max(
                            float((o.sure & ~o.right & (o.confidences >= threshold)).mean()) for o in lies
                        )
                        held.setdefault(one, []).append((lied, float(sure.mean()), share))
        columns = "worst set", "all", "all, while one lies", "sure", "right, held back"
        table = Table("way", *columns, title=f"{count} of {total} people known, {DIVISIONS} divisions, %")
        for one, shares in held.items():
            each = {subset: 100 * np.mean(wrong[one, subset]) for subset in sets}
            lied, sure, back = (100 * share for share in np.mean(shares, axis=0))
            shown = max(each.values()), each[sets[-1]], lied, sure, back
            table.add_row(one, *(f"{share:.2f}" for share in shown))
        yield table


def _shares(wrong: float, held: float) -> str:
    return f"{100 * wrong:.1f} / {100 * held:.0f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?")
    parser.add_argument("data", nargs="?")
    given = parser.parse_args()
    console = Console(soft_wrap=True)
    if given.bundle is None:
        console.print(simulated())
        return
    bundle, dataset = Bundle.open(given.bundle), read_dataset(given.data)
    console.print(*redivided(bundle, world(bundle, (*dataset.split("calibrate"), *dataset.split("eval")))))


if __name__ == "__main__":
    main()
