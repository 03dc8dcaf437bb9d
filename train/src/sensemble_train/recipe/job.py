"""A job on a run folder, and one set M_T in it: what is trained, and what from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from sensemble_runtime.progress import Progress, Stages, no_progress
from sensemble_runtime.subsets import Subset
from sensemble_runtime.subsets import name as subset_name
from torch import Tensor

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.distributed import World
from sensemble_train.models.model import Model, load_model
from sensemble_train.models.pretrained.encoder import Pretrained
from sensemble_train.recipe import run_folder
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.embedding_lengths import balanced
from sensemble_train.recipe.fusion import LateFusion, fuse, likeliest, linear_specialist, prior_logits
from sensemble_train.recipe.linear import DECAYS
from sensemble_train.recipe.linear_student import linear_student
from sensemble_train.recipe.methods import (
    Start,
    distill_subsets,
    finetune,
    learn_subsets,
    linear_probe,
    masd,
)
from sensemble_train.recipe.picture_sizes import sized
from sensemble_train.training.loop import Loop


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A process, or ranks that share each batch, at work on a run folder, maybe beside other jobs."""

    config: Config
    out: Path
    world: World
    progress: Stages  # called with (stage, steps done, steps in all), on rank 0

    def trained(self, name: str, stage: str, make: Callable[[Loop], Model]) -> Model:
        """Return the model in the folder `name` of the run, made and saved first if it is not there yet."""
        folder = self.out / name
        with run_folder.claimed(self.out, name.replace("/", " "), self.world, wait=True):
            if not self.world.agree(run_folder.finished(folder)):
                loop = self.loop(stage, folder)
                torch.manual_seed(loop.seed)  # random draws must not depend on what was there before
                run_folder.save(make(loop), folder, self.world)
        return load_model(folder)

    def loop(self, stage: str, folder: Path | None = None) -> Loop:
        """Return the settings of a stage's training loop, or of a pass over examples."""
        config, seed = self.config, seeded(self.config.seed, stage).initial_seed()
        return Loop(folder or self.out, seed, config.scale, self.world, config.augment, self.report(stage))

    def report(self, stage: str) -> Progress:
        """Return the progress of one stage: that of the run on rank 0, and none elsewhere."""
        return partial(self.progress, stage) if self.world.rank == 0 else no_progress


@dataclass(frozen=True, slots=True)
class SubsetJob:
    """One set M_T of a run: a row of the matrix is a function of it."""

    job: TrainingJob
    train: Subset
    pretrained: Model
    embedded: Clips  # the labelled examples, embedded by the pretrained model
    sources: Mapping[str, ClipSource]  # examples by their use
    background: Clips | None  # features of windows that show none of the classes
    held_out: bool  # whether `calibrate` is a separate split; a small dataset selects on `train`

    def subset(self) -> Model:
        """Return the model that ships: every subset learns from labels and a teacher, then is balanced.

        The teacher is late fusion, unless another one answered the unlabelled examples. Where all encoders
        are frozen and there is nothing to learn from but labels, a linear student ships.
        """
        labelled, selection = self.sources["train"], self.sources["calibrate"]

        def make(loop: Loop) -> Model:
            if self.linear and isinstance(labelled, Clips) and isinstance(selection, Clips):
                return linear_student(self.pretrained, labelled, selection)
            start, unlabelled = self.start(loop), self.sources["distill"]
            if unlabelled.targets is not None:
                student = learn_subsets(start, unlabelled, self.background)
            else:
                student = distill_subsets(start, unlabelled, self.teacher(), self.background)
            if not self.held_out:
                return student
            return balanced(self.sized(student), selection, self.job.loop("balance"))

        return self.trained("subset", make)

    @property
    def linear(self) -> bool:
        """True if all that could learn are linear classifiers of frozen encoders, by labels alone."""
        frozen = all(isinstance(e, Pretrained) and not e.learns for e in self.pretrained.encoders.values())
        whole = set(self.train) == set(self.pretrained.modalities)
        return (
            frozen and whole and self.held_out and len(self.sources["distill"]) <= len(self.sources["train"])
        )

    def teacher(self) -> LateFusion:
        """Return late fusion of specialists or, where a modality has no labels, of MASD's model for each."""
        every = self.pretrained.modalities
        if set(self.train) == set(every):
            return self.late_fusion()
        return self.fused(dict.fromkeys(every, self.masd()))

    def masd(self) -> Model:
        """Return MASD's model of an M_T that lacks some modality."""
        return self.trained("masd", lambda loop: self.sized(masd(self.start(loop), self.sources["distill"])))

    def late_fusion(self) -> LateFusion:
        """Return the calibrated sum of the specialists of M_T."""
        return self.fused({m: self.specialist(m) for m in self.train})

    def specialist(self, modality: str) -> Model:
        """Return a model of a modality of M_T, probed and finetuned for it alone; all M_T share them.

        Of a few hundred examples, an adapter knows by heart what a frozen encoder says. A linear classifier
        takes its place where `calibrate` finds that likelier, and no modality without labels must be read by
        it.
        """
        labelled, selection = self.sources["train"], self.sources["calibrate"]

        def one(loop: Loop) -> Model:
            probed = self._probe((modality,), loop)
            return self.sized(finetune(Start(probed, labelled, (modality,), self.job.config.finetune, loop)))

        adapted = self.job.trained(f"specialists/{modality}", f"specialist {modality}", one)
        encoder, whole = (
            self.pretrained.encoders[modality],
            set(self.train) == set(self.pretrained.modalities),
        )
        frozen = isinstance(encoder, Pretrained) and not encoder.learns
        if not (frozen and whole and self.held_out and isinstance(labelled, Clips)):
            return adapted
        assert isinstance(selection, Clips)  # noqa: S101 - as `labelled`
        linear = (linear_specialist(self.pretrained, modality, labelled, decay) for decay in DECAYS)
        return likeliest([adapted, *linear], modality, self.prior(), selection)

    def prior(self) -> Tensor:
        """Return the logits [C] of the classes' shares among the labels."""
        described, targets = self.pretrained.description, self.embedded.targets
        assert targets is not None  # noqa: S101 - those of D_T
        return prior_logits(targets, described.task, len(described.labels))

    def start(self, loop: Loop) -> Start:
        """Return what a method of this M_T starts from."""
        return Start(self.probed(), self.sources["train"], self.train, self.job.config.finetune, loop)

    def probed(self) -> Model:
        """Return the linear probe of this M_T, which others start from."""
        return self.trained("probe", lambda loop: self._probe(self.train, loop))

    def sized_probe(self) -> Model:
        """Return the probe that reads pictures at the sizes that suit `calibrate`, to compare with."""
        return self.trained("linear_probe", lambda _: self.sized(self.probed()))

    def trained(self, method: str, make: Callable[[Loop], Model]) -> Model:
        """Return the model of a method for this M_T, made and saved first if it is not there yet."""
        name = subset_name(self.train)
        return self.job.trained(f"models/{method}/{name}", f"{method} {name}", make)

    def fused(self, readers: Mapping[str, Model]) -> LateFusion:
        """Return the late fusion of models of one modality each, at temperatures of `calibrate`."""
        if not self.held_out:  # specialists know `train` by heart: its temperatures would be far too low
            return LateFusion(readers, self.prior()).eval()
        return fuse(readers, self.prior(), self.sources["calibrate"], self.job.loop("temperatures"))

    def sized(self, model: Model) -> Model:
        """Return a trained model that reads pictures at the sizes that suit `calibrate`."""
        return sized(model, self.sources["calibrate"], self.job.loop("sizes")) if self.held_out else model

    def _probe(self, train: Subset, loop: Loop) -> Model:
        return linear_probe(self.pretrained, self.embedded, train, self.job.config.probe, loop.seed)
