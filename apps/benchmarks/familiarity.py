"""Compare scores of familiarity: how they tell near windows, classes left out and backgrounds from known.

    uv run python apps/benchmarks/familiarity.py RUN DATA MODALITY...

All is measured on `calibrate`, by the run's float encoders: the AUROC of the score, and the share of unknown
windows that it lets through at the limit of a bundle. A score that learns from near windows is fitted without
the sort that it is measured on. Only `familiarity.fit` ships.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sensemble_export import familiarity
from sensemble_export.examples import spread
from sensemble_runtime.auditing.calibration import familiar_limit
from sensemble_runtime.auditing.intervals import group_codes
from sensemble_sensors import read_dataset
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Dataset, Example
from sensemble_train.data.clips import as_input
from sensemble_train.models.model import Model, load_model
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier

Floats = NDArray[np.floating]
Score = Callable[[Floats], Floats]
KNOWN, MADE, CLASSES = 800, 200, 4  # examples; windows of each near sort; classes that are left out in turn


class Embedded:
    """The embeddings of one modality's windows."""

    def __init__(self, model: Model, dataset: Dataset, modality: str) -> None:
        self._model, self._modality = model, modality
        self.spec = model.description.specs[modality]
        train, calibrate = (
            [e for e in dataset.split(name) if modality in e.modalities] for name in ("train", "calibrate")
        )
        calibrate = spread(calibrate, KNOWN)
        unlabelled = [e for e in familiarity.known_examples(dataset, modality) if not e.labels]
        windows = torch.cat([self._input(self._window(e)) for e in [*spread(train, KNOWN), *unlabelled]])
        self.weight, self.bias = (
            x.detach().numpy() for x in (model.head.linear.weight, model.head.linear.bias)
        )
        self.known = familiarity.embed(model, modality, familiarity.varied(model, modality, windows))
        self.held = self._embed([self._window(e) for e in calibrate])
        self.truth = np.array([model.description.labels.index(e.labels[0]) for e in calibrate])
        self.groups = group_codes([e.group for e in calibrate])
        self.classes = (self.known @ self.weight.T + self.bias).argmax(axis=1)
        hard, truth = familiarity.degraded(model, dataset, modality)
        degraded = familiarity.embed(model, modality, hard)
        wrong = degraded[(degraded @ self.weight.T + self.bias).argmax(axis=1) != truth.numpy()]
        own = [self._window(e) for e in familiarity.background_examples(dataset, modality)]
        synthetic = familiarity.embed(model, modality, familiarity.synthetic(model, modality))
        self.background = np.concatenate([self._embed(own), synthetic, wrong])
        self.made, self.near = (self._near(examples) for examples in (train, calibrate))
        if strange := [e for e in dataset.background("calibrate") if modality in e.modalities]:
            self.near["background"] = self._embed([self._window(e) for e in strange])

    def _window(self, example: Example) -> object:
        return kind_of(self.spec).window(example, self.spec)

    def _input(self, window: object) -> torch.Tensor:
        return as_input(window, self.spec, self._model.tokenizer)  # type: ignore[arg-type]

    def _embed(self, windows: list[object]) -> Floats:
        if not windows:
            return np.zeros((0, len(self.weight[0])), np.float32)
        return familiarity.embed(
            self._model, self._modality, torch.cat([self._input(one) for one in windows])
        )

    def _near(self, examples: list[Example]) -> dict[str, Floats]:
        some, draw = spread(examples, MADE), np.random.default_rng(0)
        windows = [self._window(e) for e in some]
        others = [
            int(draw.choice([j for j, other in enumerate(some) if not set(other.labels) & set(e.labels)]))
            for e in some
        ]
        return {
            near.name: self._embed(
                [near.make(w, windows[j], draw) for w, j in zip(windows, others, strict=True)]
            )
            for near in kind_of(self.spec).near
        }


def scores(data: Embedded, without: str, label: int | None) -> Iterator[tuple[str, Score]]:
    """Yield scores that never saw near windows `without`, nor the class `label`."""
    kept = data.classes != label
    known, classes = data.known[kept], data.classes[kept]
    left = [c for c in range(len(data.bias)) if c != label]
    weight, bias = data.weight[left], data.bias[left]
    made = np.concatenate([data.background, *(x for name, x in data.made.items() if name != without)])
    shipped = familiarity.fit(
        {"": known},
        {"": data.background},
        {"": classes},
        len(data.bias),
        {"": data.held[data.truth != label]},
    )
    some = known[np.random.default_rng(0).permutation(len(known))[:500]]
    centres = np.stack([known[classes == c].mean(axis=0) for c in left if (classes == c).any()])
    inside = known - np.stack([known[classes == c].mean(axis=0) for c in classes])
    covariance = inside.T @ inside / len(inside)
    covariance += 0.1 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse = np.linalg.inv(covariance)
    side = np.repeat([1, 0], [len(known), len(made)])
    shares = np.where(side, 0.5 / len(known), 0.5 / len(made))
    logistic = LogisticRegression(C=0.5 / familiarity.PENALTY, solver="newton-cholesky")
    logistic.fit(np.concatenate([known, made]), side, shares)
    network = MLPClassifier(64, alpha=1e-3, max_iter=60, random_state=0)
    again = np.random.default_rng(0).integers(len(known), size=len(made))  # both sides weigh the same
    network.fit(np.concatenate([known[again], made]), np.repeat([1, 0], [len(made), len(made)]))
    yield "linear, against backgrounds", lambda x: shipped.log_odds(0, x.astype(np.float32))
    yield "energy", lambda x: np.logaddexp.reduce(x @ weight.T + bias, axis=1)
    yield "5 nearest of 500", lambda x: np.sort(x @ some.T, axis=1)[:, -5]
    yield (
        "Mahalanobis",
        lambda x: -np.min([np.einsum("nd,de,ne->n", x - c, inverse, x - c) for c in centres], axis=0),
    )
    yield "linear, made windows too", logistic.decision_function
    yield "64 hidden units, made windows too", lambda x: network.predict_proba(x)[:, 1]
    yield "**linear and 8 means a class**", lambda x: shipped.scores(0, x.astype(np.float32))


def main() -> None:
    """Print a table for each modality."""
    run, data, *modalities = sys.argv[1:]
    (folder,) = (Path(run) / "models" / "subset").iterdir()
    model, dataset = load_model(folder), read_dataset(data)
    for modality in modalities:
        told = Embedded(model, dataset, modality)
        cells: dict[str, dict[str, list[tuple[float, float]]]] = {}

        def note(
            sort: str, known: Floats, groups: NDArray[np.integer], other: Floats, label: int | None
        ) -> None:
            for name, score in scores(told, sort, label):  # noqa: B023
                high, low = score(known), score(other)
                limit = familiar_limit(high, groups)
                side = np.repeat([1, 0], [len(high), len(low)])
                pair = roc_auc_score(side, np.concatenate([high, low])), float((low >= limit).mean())
                cells.setdefault(name, {}).setdefault(sort, []).append(pair)  # noqa: B023

        for sort, windows in told.near.items():
            note(sort, told.held, told.groups, windows, None)
        for label in spread(list(np.unique(told.truth)), CLASSES):
            out = told.truth == label
            note("left out", told.held[~out], told.groups[~out], told.held[out], label)
        sorts = [*told.near, "left out"]
        print(f"\n| {modality} | {' | '.join(sorts)} | mean |\n{'| --- ' * (len(sorts) + 2)}|")
        for name, row in cells.items():
            means = [np.mean(row[sort], axis=0) for sort in sorts]
            shown = [f"{area:.3f}, {100 * share:.0f}" for area, share in [*means, np.mean(means, axis=0)]]
            print(f"| {name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
