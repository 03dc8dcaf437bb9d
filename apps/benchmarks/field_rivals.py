"""The rivals of the field's table: late fusion of its specialists, and a plain one."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from warnings import simplefilter

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_runtime import subsets
from sensemble_runtime.pooling import pool_subsets
from sensemble_runtime.progress import no_progress
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.model import Model
from sensemble_train.models.pretrained.sources import NAMES
from sensemble_train.recipe.evaluate import embed
from sensemble_train.recipe.instant import FrozenEncoders
from sensemble_train.recipe.job import SubsetJob
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.floating]
Codes = NDArray[np.integer]
Predictions = dict[str, Codes]
"""By set of sensors, the class that is said of each example of `eval`, [N]; -1 where it lacks a sensor."""

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse regularization, as long as `calibrate` gains
EXPONENTS = (0.0, 0.5, 1.0)  # of the prior, for each sensor after the first


def late_fusion(save: Callable[[Predictions], None]) -> Callable[[SubsetJob], Model]:
    """Return a row of the matrix, late fusion, that gives what it says of `eval` to `save`.

    Every sensor with labels has a specialist: one that a specialist of pictures reads is a rival by luck.
    """

    def row(cell: SubsetJob) -> Model:
        labelled = [m for m, there in cell.embedded.present.items() if there.any()]
        model = cell.fused({m: cell.specialist(m) for m in labelled})
        (clips,) = embed(cell.sources["eval"], cell.job.loop("late fusion"), model)
        names = sorted(clips.inputs)
        pooled = torch.from_numpy(pool_subsets(np.stack([clips.inputs[m].numpy() for m in names])))
        sets = subsets.measured(names)
        with torch.no_grad():
            logits = model.answers(pooled, torch.tensor([len(some) for some in sets]).view(-1, 1, 1))
        present = {m: clips.present[m].numpy() for m in names}
        save(_predictions(dict(zip(sets, logits.numpy(), strict=True)), present))
        return model

    return row


def plain(dataset: Dataset, specs: Mapping[str, InputSpec], labels: Sequence[str]) -> Predictions:
    """Return what a logistic regression for each sensor says, opinions multiplied.

    It reads features of frozen pretrained encoders, or MiniRocket's of series. Regularization and
    the exponent of the prior are those of the least loss on `calibrate` after `train`; then both are learned.
    """
    train, chooses, asked = dataset.split("train"), dataset.selection, dataset.split("eval")
    truth = np.array([labels.index(example.labels[0]) for example in (*train, *chooses)])
    present, chosen, logs = dict[str, NDArray[np.bool_]](), dict[str, Floats](), dict[str, Floats]()
    for m, spec in specs.items():
        has = np.array([m in example.modalities for example in (*train, *chooses, *asked)])
        count = int(has[: len(train)].sum())
        rows = _features(m, spec, [e for e in (*train, *chooses, *asked) if m in e.modalities], count)
        every = np.zeros((len(has), rows.shape[1]), np.float32)
        every[has] = StandardScaler().fit(rows[:count]).transform(rows)
        known, choose = np.split(np.flatnonzero(has[: len(truth)]), [count])
        chosen[m], logs[m] = _opinions(every, truth, known, choose, len(labels))
        present[m] = has
    prior = np.log(np.bincount(truth[: len(train)], minlength=len(labels)) + 1.0)
    sets = subsets.measured(specs)

    def multiplied(opinions: Mapping[str, Floats], exponent: float) -> dict[subsets.Subset, Floats]:
        return {some: sum(opinions[m] for m in some) - exponent * (len(some) - 1) * prior for some in sets}

    def loss(exponent: float) -> float:
        found, rows = multiplied(chosen, exponent), np.arange(len(train), len(truth))
        having = {some: rows[np.all([present[m][rows] for m in some], axis=0)] for some in sets}
        return sum(_loss(found[some][rows], truth[rows]) for some, rows in having.items() if len(rows))

    found = multiplied(logs, min(EXPONENTS, key=loss))
    ends = {m: has[len(truth) :] for m, has in present.items()}
    return _predictions({some: rows[len(truth) :] for some, rows in found.items()}, ends)


def _opinions(rows: Floats, truth: Codes, known: Codes, choose: Codes, classes: int) -> tuple[Floats, Floats]:
    """Return log-probabilities [N, C] of all rows, by the regularization that serves `choose` best.

    The first are of a regression that learned from `known`, the second of one that learned from `choose` too.
    """
    simplefilter("ignore", ConvergenceWarning)  # few steps regularize, too
    regression = LogisticRegression(max_iter=100, warm_start=True, tol=1e-3)

    def fitted(strength: float, some: Codes) -> Floats:
        regression.set_params(C=strength).fit(rows[some], truth[some])
        logs = np.full((len(rows), classes), -20.0)  # of a class that no row of `some` has
        logs[:, regression.classes_] = np.log(regression.predict_proba(rows) + 1e-9)
        return logs

    chosen, best = fitted(STRENGTHS[0], known), STRENGTHS[0]
    for strength in STRENGTHS[1:]:
        logs = fitted(strength, known)
        if _loss(logs[choose], truth[choose]) >= _loss(chosen[choose], truth[choose]):
            break
        chosen, best = logs, strength
    return chosen, fitted(best, np.concatenate([known, choose]))


def _loss(logits: Floats, truth: Codes) -> float:
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return -float(logs[np.arange(len(truth)), truth].mean())


def _features(m: str, spec: InputSpec, examples: Sequence[Example], known: int) -> Floats:
    """Return features [N, F] of one modality; the first `known` examples are those to learn from."""
    if spec.kind != "series":
        source = next(name for name, one in NAMES.items() if one.kind == spec.kind)
        _, found = FrozenEncoders({m: source}, {m: spec}).read(examples, no_progress)
        return found[m][:, 0].numpy()
    kind = kind_of(spec)
    windows = np.stack([np.asarray(kind.window(example, spec))[0] for example in examples])
    with TemporaryDirectory() as folder:
        given, made = Path(folder) / "windows.npz", Path(folder) / "features.npz"
        np.savez(given, known=windows[:known], asked=windows[known:])
        script = Path(__file__).with_name("minirocket.py")
        command: list[str | Path] = [
            "uv",
            "run",
            "--quiet",
            "--no-project",
            "--with",
            "aeon==1.6.0",
            "python",
            script,
        ]
        subprocess.run([*command, given, made], check=True)
        rows = np.load(made)
        return np.concatenate([rows["known"], rows["asked"]])


def _predictions(
    logits: Mapping[subsets.Subset, Floats], present: Mapping[str, NDArray[np.bool_]]
) -> Predictions:
    return {
        subsets.name(some): np.where(np.all([present[m] for m in some], axis=0), rows.argmax(axis=1), -1)
        for some, rows in logits.items()
    }
