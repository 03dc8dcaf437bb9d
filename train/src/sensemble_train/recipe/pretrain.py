"""Pretraining on unlabelled examples: one encoder per modality, one space (paper, Sec. 4.1 and App. A)."""

import copy
from dataclasses import dataclass, field
from typing import Literal

import torch

from sensemble_train.data.clips import Clips, Source
from sensemble_train.field_checks import MORE, SHARE, bounded, divisible
from sensemble_train.models.model import Model
from sensemble_train.objectives.backgrounds import Backgrounds
from sensemble_train.objectives.contrastive import LOG_SCALE, Contrastive
from sensemble_train.training.augment import augment
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization


@dataclass(frozen=True, slots=True)
class MAEConfig:
    """The shares of tokens to mask, and the decoder, of masked autoencoding (`experiments.mae`).

    Attributes:
        audio: share of the tokens of sound, drawn freely over time and mel bins (App. E).
        video: share of the tokens of frames, drawn freely over space and time (App. E; Feichtenhofer et al.,
            2022).
        text: share of the tokens of text; the paper names none, this is that of Geng et al., 2022.
        repeats: masks of each example per step (App. E).
        width: width of the decoder; as `depth` and `heads` from He et al., 2022, consistent with Table 5.
        depth: blocks of the decoder.
        heads: attention heads of the decoder.
    """

    audio: float = 0.8
    video: float = 0.9
    text: float = 0.75
    repeats: int = 2
    width: int = 512
    depth: int = 8
    heads: int = 16

    def __post_init__(self) -> None:
        section, one = "pretrain.mae.", (1, MORE)
        bounded(self, section, audio=SHARE, video=SHARE, text=SHARE)
        bounded(self, section, repeats=one, width=one, depth=one, heads=one)
        divisible(self, section, "width", self.heads, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig(Optimization):
    """Settings of pretraining (Table 7, "Pretraining"); the defaults are those of `digits`.

    Attributes:
        objective: contrastive learning, or masked autoencoding, in experiments only.
        mae: masks and decoder of masked autoencoding.
        background: weight of the loss that keeps backgrounds apart, in contrastive learning; 0 for none.
        patch_dropout: share of the patches of sound and frames that contrastive learning leaves out, for
            speed; 0 in the paper.
    """

    objective: Literal["contrastive", "mae"] = "contrastive"
    mae: MAEConfig = field(default_factory=MAEConfig)
    background: float = 0.5
    patch_dropout: float = 0.0

    steps: int = 100
    batch: int = 100
    learning_rate: float = 1e-3
    warmup: int = 10

    section = "pretrain."

    def __post_init__(self) -> None:
        Optimization.__post_init__(self)  # with slots, `super()` would name the class before its decorator
        bounded(self, self.section, background=(0, MORE), patch_dropout=(0, 0.99))


def pretrain(
    model: Model,
    unlabelled: Source,
    config: PretrainConfig,
    loop: Loop,
    log_scale: float = LOG_SCALE,
    background: Clips | None = None,
) -> Model:
    """Return a copy of `model` with encoders pretrained by contrastive learning; raises as `fit`.

    It starts at the inverse temperature exp(`log_scale`), and keeps windows of `background` apart.
    """
    start = copy.deepcopy(model)
    apart = background_loss(start, background, config.background, loop)
    return fit(Contrastive(start, log_scale, apart, config.patch_dropout), [unlabelled], config, loop)


def background_loss(model: Model, clips: Clips | None, weight: float, loop: Loop) -> Backgrounds | None:
    """Return the loss that keeps backgrounds apart from what `model` knows, or None without one.

    `clips` holds features, as `sources.backgrounds` returns them; they are augmented once.
    """
    if clips is None or not weight:
        return None
    torch.manual_seed(loop.seed)
    changed = augment(clips, model, loop.augment)
    return Backgrounds(changed, model.modalities, model.head.linear.in_features, weight)
