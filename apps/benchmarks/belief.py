"""The worth of a bundle's sure answers: clean and lying sensors, the promise, and noise.

`uv run python apps/benchmarks/belief.py BUNDLE DATA` encodes the split `eval` with the bundle and prints, of
the answers as shipped, the share that is sure, the share of all that is sure and wrong, and the share of the
right ones that is held back: as the first answer of a session, and after ten scenes. A liar shows windows of
other classes of other people. The rival is the mean of the logits (Eq. 7) and a confidence of 90 %,
calibrated on `calibrate` for each set. Then: answers that an agreeing sensor made less sure, and what each
sensor alone says about noise.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sensemble_runtime.auditing.answers import EvidenceByModality, SimulatedSessions, plain
from sensemble_runtime.auditing.calibration import fit_temperature
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_runtime.auditing.reliability import Outcomes, outcomes
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.head import calibrated
from sensemble_runtime.engine.answer import SEVERAL, SURE, UNFAMILIAR, Answers, answer
from sensemble_runtime.executors.executor import Input
from sensemble_runtime.subsets import Subset, measured, name
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example, read_dataset

Rows = Mapping[str, NDArray[np.floating]]
Marks = Mapping[str, NDArray[np.bool_]]

SCENES = 10  # before an answer "after ten scenes"
SESSION = 40  # scenes of one session
WINDOWS = 100
RIVAL = 0.9


@dataclass(frozen=True)
class World:
    """Evidence and logits [N, C] by modality, whether it is there, truth and groups [N]."""

    evidence: EvidenceByModality
    logits: Rows
    present: Marks
    truth: NDArray[np.int64]
    groups: NDArray[np.int64]

    @property
    def usable(self) -> Marks:
        """The modalities that are present and familiar."""
        return {m: self.evidence[m].usable(there) for m, there in self.present.items()}

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "World":
        """Return some examples, in this order."""
        evidence = {m: one.take(rows) for m, one in self.evidence.items()}
        logits = {m: own[rows] for m, own in self.logits.items()}
        present = {m: x[rows] for m, x in self.present.items()}
        return World(evidence, logits, present, self.truth[rows], self.groups[rows])

    def lied(self, liar: str) -> "World":
        """Return the same where a sensor shows windows of other classes of other people."""
        draw, place = np.random.default_rng(0), np.arange(len(self.truth))
        for i, label in enumerate(self.truth):
            place[i] = draw.choice(np.flatnonzero((self.truth != label) & (self.groups != self.groups[i])))
        shown = self.take(place)
        evidence = {**self.evidence, liar: shown.evidence[liar]}
        logits = {**self.logits, liar: shown.logits[liar]}
        present = {**self.present, liar: shown.present[liar]}
        return World(evidence, logits, present, self.truth, self.groups)


def world(bundle: Bundle, examples: Sequence[Example]) -> World:
    """Encode examples with the bundle, and return each sensor's evidence."""
    classifier, size = bundle.classifier, (len(examples), bundle.manifest.embedding)
    embeddings = {m: np.zeros(size, np.float32) for m in bundle.modalities}
    present = {m: np.array([m in one.modalities for one in examples]) for m in bundle.modalities}
    for modality, spec in bundle.specs.items():
        for place in np.flatnonzero(present[modality]):
            window = kind_of(spec).window(examples[int(place)], spec)
            embeddings[modality][place] = bundle.encode(modality, window)
    evidence = {m: classifier.evidence(m, own) for m, own in embeddings.items()}
    logits = {m: bundle.head.logits(own) for m, own in embeddings.items()}
    truth = np.array([bundle.manifest.labels.index(example.labels[0]) for example in examples])
    groups = group_codes([example.group for example in examples])
    return World(evidence, logits, present, truth, groups)


def later(bundle: Bundle, subset: Subset, seen: World) -> tuple[Outcomes, NDArray[np.int64]]:
    """Return the outcomes after ten scenes of sessions of forty, each in a random order."""
    order = np.random.default_rng(0).permutation(len(seen.truth))
    chunks = [order[i : i + SESSION] for i in range(0, len(order) - SESSION + 1, SESSION)]
    given = []
    for chunk in chunks:
        some = seen.take(chunk)
        given.append(
            SimulatedSessions([subset], bundle.classifier).answers(some.evidence, some.present)[subset]
        )
    parts = [(one.probabilities[SCENES:], one.doubts[SCENES:]) for one in given]
    chances, doubts = (np.concatenate(part) for part in zip(*parts, strict=True))
    truth = np.concatenate([seen.truth[chunk][SCENES:] for chunk in chunks])
    return outcomes(Answers(chances, doubts, bundle.classifier.threshold), truth, "multi-class"), truth


def first(bundle: Bundle, subset: Subset, seen: World) -> Outcomes:
    """Return the outcomes of the first answers of sessions."""
    rule = bundle.classifier.redundancy, bundle.classifier.task, bundle.classifier.threshold
    given = answer(seen.evidence, seen.present, subset, *rule)
    return outcomes(given, seen.truth, "multi-class")


def rival(subset: Subset, known: World, seen: World) -> Outcomes:
    """Return the outcomes of the mean of the logits, calibrated for the set, and a plain confidence."""
    has = np.all([known.usable[m] for m in subset], axis=0)
    pooled = np.mean([known.logits[m][has] for m in subset], axis=0)
    heat = fit_temperature(pooled, known.truth[has], "multi-class")
    there = np.stack([seen.usable[m] for m in subset])[..., np.newaxis]
    mean = np.sum([seen.logits[m] * there[i] for i, m in enumerate(subset)], axis=0)
    chances = calibrated(mean / np.maximum(there.sum(axis=0), 1), heat, 0.0, "multi-class")
    doubts = np.where(chances.max(axis=1) >= RIVAL, SURE, SEVERAL)
    doubts[~np.asarray(there.any(axis=0))[:, 0]] = UNFAMILIAR
    return outcomes(Answers(chances, doubts.astype(np.int8), RIVAL), seen.truth, "multi-class")


def written(found: Outcomes) -> str:
    """Write the shares of sure, of sure and wrong, and of right answers held back."""
    one = found.reliability
    return f"{100 * (1 - one.unsure):.1f} / {100 * one.sure_wrong:.2f} / {100 * one.withheld:.1f}"


def sureness(bundle: Bundle, known: World, new: World) -> Table:
    """Return the table of clean and lying sensors."""
    title = f"{len(new.truth)} examples: sure / sure and wrong / right but held back, %"
    table = Table("set", "liar", "at first", "after ten scenes", "rival: Eq. 7 and 90 %", title=title)
    every = measured(bundle.modalities)
    for subset in every:
        if len(subset) not in (1, 2, len(bundle.modalities)):
            continue
        for liar in ("", *(subset if len(subset) > 1 else ())):
            seen = new.lied(liar) if liar else new
            shown = first(bundle, subset, seen), later(bundle, subset, seen)[0], rival(subset, known, seen)
            table.add_row(name(subset), liar, *map(written, shown))
    return table


def lost_by_agreement(bundle: Bundle, new: World) -> tuple[int, int]:
    """Return in how many cases an agreeing sensor made an answer less sure, and of how many."""
    redundancy, every = bundle.classifier.redundancy, measured(bundle.modalities)
    found = plain(new.evidence, every, redundancy, "multi-class")
    lost = cases = 0
    for subset, more in found.items():
        for added in subset if len(subset) > 1 else ():
            less = found[tuple(m for m in subset if m != added)]
            agrees = new.evidence[added].classes.argmax(axis=1) == less.argmax(axis=1)
            lost += int((agrees & (more.max(axis=1) < less.max(axis=1) - 1e-9)).sum())
            cases += int(agrees.sum())
    return lost, cases


def noises(bundle: Bundle) -> Table:
    """Return the answers of sound and frames to noise: how many are sure, and the highest confidence."""
    draw = np.random.default_rng(0)
    table = Table("sensor", "noise", "familiar, %", "sure, %", "highest confidence, %")

    def row(modality: str, kind: str, windows: Sequence[Input]) -> None:
        rows = np.stack([bundle.encode(modality, window) for window in windows])
        evidence, known = bundle.classifier.evidence(modality, rows), bundle.classifier
        there = {modality: np.ones(len(rows), bool)}
        rule = known.redundancy, known.task, known.threshold
        found = answer({modality: evidence}, there, (modality,), *rule)
        familiar = evidence.usable(there[modality]).mean()
        shares = familiar, (found.doubts == SURE).mean(), found.probabilities.max()
        table.add_row(modality, kind, *(f"{100 * share:.0f}" for share in shares))

    for modality, spec in bundle.specs.items():
        shape, each = spec.shape, range(WINDOWS)
        if spec.kind == "frames":
            row(modality, "pixels", [draw.integers(0, 256, shape, np.uint8) for _ in each])
            black = [np.clip(draw.normal(2, 1.5, shape), 0, 255).astype(np.uint8) for _ in each]
            row(modality, "black", black)
        if spec.kind == "waveform":
            levels = 10 ** draw.uniform(-3, -0.5, WINDOWS)
            loud = [(x * draw.standard_normal(shape)).clip(-1, 1).astype("f4") for x in levels]
            row(modality, "white", loud)
            row(modality, "silence", [np.zeros(shape, np.float32)])
        if spec.kind == "series":
            row(modality, "still", [np.zeros(shape, np.float32)])
            row(modality, "white", [draw.standard_normal(shape).astype(np.float32) for _ in each])
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle")
    parser.add_argument("data")
    given = parser.parse_args()
    bundle, dataset = Bundle.open(given.bundle), read_dataset(given.data)
    known, new = (world(bundle, dataset.split(split)) for split in ("calibrate", "eval"))
    console = Console(soft_wrap=True)
    console.print(bundle.manifest.calibration.promise)
    console.print(sureness(bundle, known, new))
    lost, cases = lost_by_agreement(bundle, new)
    console.print(f"an agreeing sensor made an answer less sure in {lost} of {cases} cases")
    console.print(noises(bundle))


if __name__ == "__main__":
    main()
