"""The field: the default recipe on data sets that differ, beside its rivals and the last committed row.

    uv run python apps/benchmarks/field.py DATA RUNS [SET ...]

DATA has a folder for each set, by default all those of `SETS` that are there: `digits` (a link to what
`sensemble data build` prints), `things` (`things.py`), `har` (GeoTecINIT's sp-sw-har-dataset), `hapt` and
`long` (`hapt.py PACKAGE OUT`, `hapt.py PACKAGE OUT 256 1`), `avm` (`avmnist.py`). In RUNS/SET, the default
recipe is trained, exported for ExecuTorch and audited, unless it is there already. A set takes three to eight
minutes of processor time.

Shares, in %, are of a session's answers by the bundle that ships (`sensemble audit`), with 95 % intervals
of groups. Late fusion is that of a specialist of each sensor with labels, float. The plain rival is a
logistic regression for each sensor, opinions multiplied: see `field_rivals.plain`. `field.json` beside this
script keeps each answer, and `FIELD.md` is written from it, with paired differences; those to the row of
the last commit are of the same examples, too. Bold ones leave out 0.
"""

import base64
import hashlib
import json
import subprocess
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from field_rivals import Predictions, late_fusion, plain
from numpy.typing import NDArray
from sensemble_apps.console.progress import stages
from sensemble_export import export_run
from sensemble_runtime import Bundle, audit, subsets
from sensemble_runtime.auditing.audit import AuditResult
from sensemble_runtime.auditing.intervals import LEVEL, student
from sensemble_runtime.auditing.recorded import complete_audits, recorded_audit
from sensemble_sensors import read_dataset
from sensemble_sensors.media.dataset import Dataset
from sensemble_train import Config, derived
from sensemble_train.data.trainable import most_labelled
from sensemble_train.models.infer_spec import installed
from sensemble_train.recipe.job import SubsetJob
from sensemble_train.recipe.recipe import Recipe

SETS = "digits", "things", "har", "hapt", "avm", "long"
HERE = Path(__file__).parent
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Share:
    """A share, and how much each example adds to it, float64 [N], 0 in sum."""

    value: float
    parts: NDArray[np.float64]

    @classmethod
    def of(cls, marked: Bools, among: Bools) -> "Share":
        value = float(marked[among].mean())
        return cls(value, among * (marked - value) / among.sum())

    def less(self, other: "Share") -> "Share":
        return Share(self.value - other.value, self.parts - other.parts)

    def half(self, groups: NDArray[np.integer]) -> float:
        """Return half the width of the interval, by Student's t of groups' sums; the widest of all ways."""
        found = []
        for way in np.atleast_2d(groups.T):
            sums = np.bincount(np.unique(way, return_inverse=True)[1], self.parts)
            error = np.sqrt(len(sums) / (len(sums) - 1) * np.square(sums).sum())
            found.append(student(LEVEL, len(sums) - 1) * float(error))
        return max(found)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Answers to N examples by set of sensors: which are given, right and sure, each bool [N]."""

    given: Mapping[str, Bools]
    right: Mapping[str, Bools]
    sure: Mapping[str, Bools]

    def shares(self) -> dict[str, Share]:
        """Return P, R, the shares right of all sensors and of each, the gain of each, and sureness."""
        found = {name: Share.of(self.right[name], given) for name, given in self.given.items()}
        every = max(found, key=lambda name: name.count("+"))
        singles = every.split("+")
        values = [one.value for one in found.values()]
        shares = {
            "P": Share(float(np.mean(values)), np.mean([one.parts for one in found.values()], axis=0)),
            "R": min(found.values(), key=lambda one: one.value),
            "all": found[every],
        }
        shares |= {m: found[m] for m in singles}
        for m in singles:
            rest = Share.of(self.right[subsets.name(set(singles) - {m})], self.given[every])
            shares[f"gain of {m}"] = found[every].less(rest)
        if self.sure:
            right, sure = self.right[every], self.sure[every]
            shares["sure"] = Share.of(sure, self.given[every])
            shares["sure and wrong"] = Share.of(sure & ~right, self.given[every])
            shares["held back"] = Share.of(~sure, right)
        return shares

    def packed(self) -> dict[str, list[str]]:
        return {
            name: [
                base64.b64encode(np.packbits(of[name]).tobytes()).decode()
                for of in (self.given, self.right, self.sure)
            ]
            for name in self.given
        }

    @classmethod
    def unpacked(cls, packed: Mapping[str, Sequence[str]], count: int) -> "Outcomes":
        rows = {
            name: [
                np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).astype(bool)
                for text in texts
            ]
            for name, texts in packed.items()
        }
        return cls(*({name: row[place] for name, row in rows.items()} for place in range(3)))


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("sets", nargs="*")
    given = parser.parse_args()
    kept, committed = HERE / "field.json", git("show", "HEAD:./field.json")
    field: dict[str, Any] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    before: dict[str, Any] = json.loads(committed) if committed else {}
    for name in given.sets or [name for name in SETS if (given.data / name).exists()]:
        field[name] = row(given.data / name, given.runs / name, before.get(name))
        print("\n".join(table(name, field[name])), flush=True)
        kept.write_text(json.dumps(field, indent=1) + "\n", "utf-8")
    (HERE / "FIELD.md").write_text("\n".join(page(field)) + "\n", "utf-8")


def git(*arguments: str) -> str:
    """Return what a git command prints; empty where it fails."""
    return subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False).stdout


def row(data: Path, run: Path, before: dict[str, Any] | None) -> dict[str, Any]:
    """Train, export and audit what is not there, and compare it with its rivals and the row before."""
    dataset = read_dataset(data)
    late = ship(data, dataset, run)
    result = recorded_audit(run / "audit.sqlite", complete_audits(run / "audit.sqlite")[-1])
    bundle = Bundle.open(run / "bundle")
    if not (saved := run / "plain.npz").exists():
        save(plain(dataset, bundle.specs, bundle.manifest.labels), saved)
    groups, answered = result.answered.groups, result.answered
    truth = np.array([bundle.manifest.labels.index(labels[0]) for labels in answered.truth])
    ours = outcomes(result)
    order = {example.id: place for place, example in enumerate(dataset.split("eval"))}
    places = [order[each] for each in answered.ids]
    rivals = {"late fusion": late, "plain": dict(np.load(saved))}
    digest = hashlib.sha256(repr((answered.ids, answered.truth)).encode()).hexdigest()[:16]
    made = {
        "commit": (run / "commit").read_text().strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "examples": len(truth),
        "groups": result.groups,
        "data": digest,
        "shares": {key: interval(one, groups) for key, one in ours.shares().items()},
        "pooled": pooled(result),
        "near": {
            one.name: one.sure
            for one in result.unknown
            if one.subset == max(result.subsets, key=lambda each: each.count("+"))
        },
        "rivals": {
            title: compared(
                ours, judged({key: rows[places] for key, rows in predictions.items()}, truth), groups
            )
            for title, predictions in rivals.items()
        },
        "outcomes": ours.packed(),
    }
    if before and before["data"] == digest and before["commit"] != made["commit"]:
        was = Outcomes.unpacked(before["outcomes"], len(truth))
        made["before"] = {"commit": before["commit"], "near": before["near"], **compared(ours, was, groups)}
    return made


def ship(data: Path, dataset: Dataset, run: Path) -> Predictions:
    """Do what `sensemble demo` does, without what it only shows; return what late fusion says of `eval`."""
    predictions = run / "late_fusion.npz"
    trained = most_labelled(dataset)
    run.mkdir(parents=True, exist_ok=True)
    if not (commit := run / "commit").exists():
        command = ["git", "describe", "--always", "--dirty", "--abbrev=8"]
        commit.write_text(
            subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout
        )
    with stages() as advance:
        if not predictions.exists():
            config = Config(str(data.resolve()), (subsets.name(trained),), 0, encoders=installed(dataset))
            rows = {"subset": SubsetJob.subset, "late_fusion": late_fusion(partial(save, path=predictions))}
            Recipe(derived(config, dataset), rows).run(run, advance, dataset)
        if not (run / "bundle").exists():
            export_run(run, "subset", trained, progress=advance)
        if not (run / "audit.sqlite").exists():
            bundle, backgrounds = Bundle.open(run / "bundle"), dataset.background("eval")
            record, progress = run / "audit.sqlite", partial(advance, "audit")
            audit(bundle, data, record=record, unknown=backgrounds, progress=progress)
    return dict(np.load(predictions))


def pooled(result: AuditResult) -> dict[str, float]:
    """Return the shares right in % by the pooled representation alone, without the session's rules."""
    every = max(result.subsets, key=lambda name: name.count("+"))
    singles = every.split("+")
    shares = {"P": result.mean.value, "R": result.least.value, "all": result.subsets[every].accuracy}
    shares |= {m: result.subsets[m].accuracy for m in singles}
    shares |= {f"gain of {m}": result.drops[m].value for m in singles}
    return {key: round(100 * value, 2) for key, value in shares.items()}


def save(predictions: Predictions, path: Path) -> None:
    np.savez(path, allow_pickle=False, **predictions)


def outcomes(result: AuditResult) -> Outcomes:
    count, sets = len(result.answered.ids), result.answered.sets

    def spread(rows: NDArray[np.integer], values: Bools | bool) -> Bools:
        every = np.zeros(count, bool)
        every[rows] = values
        return every

    return Outcomes(
        {name: spread(one.rows, values=True) for name, one in sets.items()},
        {name: spread(one.rows, one.right) for name, one in sets.items()},
        {name: spread(one.rows, one.sure) for name, one in sets.items()},
    )


def judged(predictions: Predictions, truth: NDArray[np.integer]) -> Outcomes:
    return Outcomes(
        {name: rows >= 0 for name, rows in predictions.items()},
        {name: rows == truth for name, rows in predictions.items()},
        {},
    )


def interval(one: Share, groups: NDArray[np.integer]) -> list[float]:
    half = one.half(groups)
    return [round(100 * number, 2) for number in (one.value, one.value - half, one.value + half)]


def compared(ours: Outcomes, theirs: Outcomes, groups: NDArray[np.integer]) -> dict[str, Any]:
    """Return their shares in %, and ours less theirs with intervals, on the same examples."""
    own, other = ours.shares(), theirs.shares()
    return {
        "shares": {key: round(100 * one.value, 2) for key, one in other.items()},
        "ours less theirs": {key: interval(own[key].less(one), groups) for key, one in other.items()},
    }


def page(field: Mapping[str, Any]) -> list[str]:
    titled = ["# The field", "", *(__doc__ or "").splitlines()]
    for name in SETS:
        if name in field:
            titled += table(name, field[name])
    return titled


def table(name: str, made: Mapping[str, Any]) -> list[str]:
    keys, near = [*made["shares"]], [*made["near"]]
    predictions = (
        f"Commit {made['commit']}, {made['date']}, {made['examples']} examples of {made['groups']} groups."
    )
    lines = ["", f"## {name}", "", predictions, ""]
    lines.append(line("", *keys, *(f"sure of {one}" for one in near)))
    lines.append(line(*["---"] * (1 + len(keys) + len(near))))
    unknown = [f"{100 * made['near'][one]:.1f}" for one in near]
    lines.append(line("**ships**", *map(whole, made["shares"].values()), *unknown))
    alone = (f"{made['pooled'][key]:.1f}" if key in made["pooled"] else "" for key in keys)
    lines.append(line("the same, Eq. 7 alone", *alone, *[""] * len(near)))
    rows = dict(made["rivals"])
    if before := made.get("before"):
        rows[before["commit"]] = before
    for title, other in rows.items():
        shares, less, then = other["shares"], other["ours less theirs"], other.get("near", {})
        unknown = [f"{100 * then[one]:.1f}" if one in then else "" for one in near]
        lines.append(line(title, *(f"{shares[key]:.1f}" if key in shares else "" for key in keys), *unknown))
        differences = (marked(less[key]) if key in less else "" for key in keys)
        lines.append(line(f"ships, less {title}", *differences, *[""] * len(near)))
    return lines


def whole(numbers: Sequence[float]) -> str:
    return "{:.1f} ({:.1f} to {:.1f})".format(*numbers)


def marked(numbers: Sequence[float]) -> str:
    """Write a difference, bold where its interval leaves out 0."""
    text = "{:+.1f} ({:+.1f} to {:+.1f})".format(*numbers)
    return f"**{text}**" if numbers[1] > 0 or numbers[2] < 0 else text


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
