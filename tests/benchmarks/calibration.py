"""The worth of a bundle's answers as they ship, on `eval`, for new persons, and on noise.

`uv run python tests/benchmarks/calibration.py BUNDLE DATA` prints the reliability of each subset from an
audit of the bundle, then the mean coverage of 200 divisions of all persons of `calibrate` and `eval` into
known and new ones, and then what each sensor alone says about noise that no training saw.
"""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from sensemble_apps.results import audit_table
from sensemble_runtime.auditing.audit import audit
from sensemble_runtime.auditing.calibration import ALPHA, quantile, shortfalls
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.executors.executor import Input
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.subsets import name, subsets
from weights import Split, arguments, encode

DIVISIONS = 200
WINDOWS = 100


def coverage(bundle: Bundle, known: Split, new: Split) -> Table:
    """Return the share of candidates that hold the truth, of persons divided anew."""
    logits = np.concatenate([pool_subsets(split.logits) for split in (known, new)], axis=1)
    truth = np.concatenate([known.truth, new.truth])
    groups = np.concatenate([known.groups, known.groups.max() + 1 + new.groups])
    present = np.concatenate([known.present, new.present], axis=1)
    persons, fitted = np.unique(groups), len(np.unique(known.groups))
    draw = np.random.default_rng(0)
    table = Table(
        "live set", "covered, %", title=f"{fitted} of {len(persons)} persons fitted on: promised 90 %"
    )
    for subset, rows in zip(subsets(bundle.modalities), logits, strict=True):
        has = present[[bundle.modalities.index(m) for m in subset]].all(axis=0)
        scores, held = shortfalls(rows, truth, "multi-class"), []
        for _ in range(DIVISIONS):
            old = np.isin(groups, draw.permutation(persons)[:fitted])
            limit = max(quantile(scores[old & has], ALPHA, groups[old & has]), 0.0)
            shares = [(scores[has & (groups == g)] <= limit).mean() for g in np.unique(groups[~old & has])]
            held.append(np.mean(shares))
        table.add_row(name(subset), f"{100 * np.mean(held):.1f}")
    return table


def noises(bundle: Bundle) -> Table:
    """Return the answers of sound and frames to noise: how many are sure, and the highest confidence."""
    draw = np.random.default_rng(0)
    table = Table("sensor", "noise", "familiar, %", "sure, %", "highest confidence, %")

    def row(modality: str, kind: str, windows: Sequence[Input]) -> None:
        found = [bundle.encode(modality, window) for window in windows]
        familiar = bundle.judge.are_familiar(modality, np.stack(found))
        said = [
            bundle.judge.answer({modality: one}, () if known else (modality,))[0]
            for one, known in zip(found, familiar, strict=True)
        ]
        highest = max(one.confidence for one in said)
        shares = (familiar.mean(), np.mean([one.sure for one in said]), highest)
        table.add_row(modality, kind, *(f"{100 * share:.0f}" for share in shares))

    for modality, spec in bundle.specs.items():
        shape, each = spec.shape, range(WINDOWS)
        if spec.kind == "frames":
            row(modality, "pixels", [draw.integers(0, 256, shape, np.uint8) for _ in each])
            black = [np.clip(draw.normal(2, 1.5, shape), 0, 255).astype(np.uint8) for _ in each]
            row(modality, "black", black)
            bars = [np.arange(shape[3]) // draw.integers(1, 6) % 2 * draw.integers(60, 255) for _ in each]
            row(modality, "bars", [np.broadcast_to(b.astype(np.uint8)[:, None], shape).copy() for b in bars])
        if spec.kind == "waveform":
            time = np.arange(shape[1]) / spec.rate
            levels = 10 ** draw.uniform(-3, -0.5, WINDOWS)
            row(
                modality,
                "white",
                [(x * draw.standard_normal(shape)).clip(-1, 1).astype("f4") for x in levels],
            )
            row(modality, "silence", [np.zeros(shape, np.float32)])
            hums = [x * np.sign(np.sin(2 * np.pi * draw.uniform(45, 130) * time)) for x in levels]
            row(modality, "hum", [hum[None].astype(np.float32) for hum in hums])
    return table


def main() -> None:
    """Print the three tables."""
    bundle, dataset = arguments(__doc__)
    found = audit(bundle, dataset.split("eval"))
    fitted, new = (encode(bundle, dataset.split(split)) for split in ("calibrate", "eval"))
    console = Console(soft_wrap=True)
    console.print(audit_table.reliability(found), coverage(bundle, fitted, new), noises(bundle))


if __name__ == "__main__":
    main()
