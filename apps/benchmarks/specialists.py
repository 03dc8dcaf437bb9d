"""What a specialist of each modality of `digits` reaches, trained from scratch on all labels.

    uv run python apps/benchmarks/specialists.py [--data FOLDER] [--steps 300 1200]

trains the ordinary encoder of each modality, alone, on the labels of `pretrain` and `train` together, once
for each number of steps. It prints the accuracy of the one that is best on `calibrate`, with Wilson's
interval, on the splits `train` (which it has seen), `calibrate` and `eval`. The labels of `pretrain` are for
such comparisons alone: the recipe does not use them. Beside the encoder of text, it prints what a logistic
regression on pieces of words reaches.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import torch
from sensemble_apps.commands.data import digits
from sensemble_apps.console.progress import stages
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.progress import Progress, no_progress
from sensemble_sensors.media.dataset import Example
from sensemble_train.data.clips import Source
from sensemble_train.distributed import alone
from sensemble_train.experiments.config import Experiment
from sensemble_train.experiments.matrix import choose
from sensemble_train.experiments.presets import EXPERIMENTS
from sensemble_train.models.model import Model
from sensemble_train.objectives.task import Task
from sensemble_train.recipe.evaluate import embed, evaluate
from sensemble_train.recipe.examples import decoded, read
from sensemble_train.recipe.methods import FinetuneConfig
from sensemble_train.recipe.recipe import new_model
from sensemble_train.training.loop import Loop, fit
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

SCORED = ("train", "calibrate", "eval")


class Specialist(Task):
    """The task's loss from scratch: BatchNorm learns its statistics too, for there is no probe to keep."""

    def train(self, mode: bool = True) -> Self:
        """Train every module."""
        nn.Module.train(self, mode)
        return self


def specialist(
    model: Model,
    sources: Mapping[str, Source],
    modality: str,
    settings: FinetuneConfig,
    config: Experiment,
    progress: Progress,
) -> dict[str, tuple[float, int]]:
    """Train a model on one modality; return its accuracy on each split, and the number of examples."""
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Path(folder), config.seed, augment=config.augment, progress=progress)
        learned = [sources["everything"].having((modality,))]
        trained = fit(Specialist(model, (modality,)), learned, settings, loop)
        scored = {split: sources[split].having((modality,)) for split in SCORED}
        quiet = replace(loop, progress=no_progress)
        return {
            split: (evaluate(trained, embed(source, quiet, trained)[0])[modality], len(source))
            for split, source in scored.items()
        }


def pieces_of_words(chosen: Mapping[str, Sequence[Example]]) -> dict[str, tuple[float, int]]:
    """Return the accuracy of a logistic regression on counts of 2 to 5 letters, and how many examples."""
    texts = {use: [e.value("text") or "" for e in chosen[use]] for use in ("everything", *SCORED)}
    labels = {use: [e.labels[0] for e in chosen[use]] for use in texts}
    counts = CountVectorizer(analyzer="char_wb", ngram_range=(2, 5))
    classifier = make_pipeline(counts, LogisticRegression(max_iter=300))
    classifier.fit(texts["everything"], labels["everything"])
    return {use: (float(classifier.score(texts[use], labels[use])), len(texts[use])) for use in SCORED}


def report(name: str, scores: Mapping[str, tuple[float, int]]) -> None:
    """Print the accuracy of one specialist on each split."""
    for split, (accuracy, count) in scores.items():
        low, high = (100 * bound for bound in wilson(accuracy * count, count))
        figures = f"{100 * accuracy:.1f} ({low:.1f} to {high:.1f}), {count} examples"
        print(f"{name} on {split}: {figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--steps", type=int, nargs="*", default=[300, 1200])
    parser.add_argument("--modalities", nargs="*", default=["audio", "text", "video"])
    arguments = parser.parse_args()
    config = EXPERIMENTS["digits"](str((arguments.data or digits(0)).resolve()))
    dataset = read(config.data)
    chosen = dict(choose(config, dataset))
    chosen["everything"] = [e for e in (*dataset.split("train"), *dataset.split("pretrain")) if e.labels]
    uses = {use: chosen[use] for use in ("everything", *SCORED)}
    report("text, logistic regression,", pieces_of_words(chosen))
    model = new_model(config, dataset, alone())
    with stages() as advance:
        told = partial(partial, advance)
        sources = {use: decoded(config, model, use, examples, told) for use, examples in uses.items()}
        for modality in arguments.modalities:
            found = {}
            for steps in arguments.steps:
                torch.manual_seed(config.seed)
                model = new_model(config, dataset, alone())
                settings = FinetuneConfig(steps=steps, batch=64, learning_rate=1e-3, warmup=100)
                progress = partial(advance, f"{modality}, {steps} steps")
                found[steps] = specialist(model, sources, modality, settings, config, progress)
            best = max(found, key=lambda steps: found[steps]["calibrate"])
            report(f"{modality}, {best} steps,", found[best])


if __name__ == "__main__":
    main()
