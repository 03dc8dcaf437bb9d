"""The worth of front end and augmentation for sound alone, on voices that were not trained on.

    uv run python apps/benchmarks/front_ends.py [--data DIGITS] [--prompts FOLDER] [--only NAME ...]

An audio encoder of the small preset learns from scratch, with labels, on all of `digits`' training side, in
300 steps of 64: with Table 6's fixed scale, with the relative one, and with more and more of the augmentation
of derived presets. It prints the accuracy on `calibrate` (other voices of digits, by which the defaults
were chosen) and on other synthesizers and a person (`voices.py`), by level.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from sensemble_apps.commands.data import digits
from sensemble_sensors.media.dataset import read_dataset
from sensemble_train.data.clips import Clips
from sensemble_train.models.augment_config import DERIVED, AugmentConfig
from sensemble_train.models.infer_spec import describe
from sensemble_train.models.model import Model
from sensemble_train.objectives.objective import MeanLoss
from sensemble_train.objectives.task import task_loss
from sensemble_train.recipe.methods import FinetuneConfig
from sensemble_train.training.loop import Loop, fit
from torch import Tensor
from voices import accuracy, evaluation, show, voices

TUNING = FinetuneConfig(steps=300, batch=64, learning_rate=2e-3, warmup=30)
VOICES = AugmentConfig(voice=DERIVED.voice, pace=DERIVED.pace, shift=DERIVED.shift)
VARIANTS = {
    "fixed": (False, AugmentConfig()),
    "relative": (True, AugmentConfig()),
    "voices": (True, VOICES),
    "derived": (True, DERIVED),
}


class Supervised(MeanLoss):
    """The task's loss, with every weight trained from scratch."""

    def forward(self, *batches: Clips) -> Tensor:
        (labelled,) = batches
        assert labelled.targets is not None
        return task_loss(self.model.classify(labelled.inputs), labelled.targets, "multi-class")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.data or digits(0))
    described = describe(dataset)
    described = replace(
        described,
        specs={"audio": described.specs["audio"]},
        configs={"audio": described.configs["audio"]},
    )
    raw = evaluation(Model(described, None), (*dataset.split("train"), *dataset.split("pretrain")))
    chosen_by = evaluation(Model(described, None), dataset.selection)
    heard = voices(arguments.prompts)
    for name in arguments.only:
        relative, changes = VARIANTS[name]
        config = replace(described.configs["audio"], relative=relative)
        torch.manual_seed(0)
        model = Model(replace(described, configs={"audio": config}), None)
        features = Clips(model.front(raw.inputs), raw.present, raw.targets)
        with tempfile.TemporaryDirectory() as folder:
            trained = fit(Supervised(model), [features], TUNING, Loop(Path(folder), 0, augment=changes))
        print(f"\n{name}")
        for gain in (0.03, 0.3, 1.0, 3.0):
            loud = (gain * chosen_by.inputs["audio"]).clamp(-1, 1)
            print(f"calibrate, gain {gain:g}: {accuracy(trained, 'audio', loud, chosen_by):.1f}%")
        for voice, takes in heard.items():
            show(trained, voice, takes)


if __name__ == "__main__":
    main()
