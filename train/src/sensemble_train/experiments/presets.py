"""The paper's experiments by name: every hyperparameter of its Tables 6 and 7 and App. C to E as a field."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sensemble_sensors.media.decoding import Sampling

from sensemble_train.experiments.config import Experiment, MAEConfig
from sensemble_train.experiments.models import CLIP_B16, MAE_B16
from sensemble_train.models.augment_config import PAPER, AugmentConfig
from sensemble_train.recipe.methods import FinetuneConfig, PretrainConfig, ProbeConfig
from sensemble_train.training.scale import ScaleConfig

_CROPS = (256 / 224, 320 / 224)  # short side of a frame before its crop, in training (Sec. 5)
# Our choice, as the paper names none: 1024 videos of 1569 tokens do not fit on one GPU, 64 should.
_LARGE = ScaleConfig(
    precision="bf16",
    compile=True,
    checkpoint_activations=True,
    micro_batch=64,
    workers=8,
    save_every=500,
    log_every=50,
)
_TABLE_7: dict[str, Any] = {"steps": 0, "decay_vectors": False}  # epochs count; vectors as in CLIP and MAE


def digits(data: str) -> Experiment:
    """The embedded dataset, or any other of its size, by contrastive learning."""
    return Experiment(data, train_modalities=("all",))


def digits_mae(data: str) -> Experiment:
    """The embedded dataset by masked autoencoding.

    Sound and frames are masked as text is: of these clips' few tokens, the paper's shares would leave next to
    none. Nothing is augmented in pretraining, whose few steps do not even fit what there is.
    """
    return Experiment(
        data,
        train_modalities=("all",),
        objective="mae",
        mae=MAEConfig(waveform=0.75, frames=0.75, width=64, depth=1, heads=4),
        augment=AugmentConfig(),
        pretrain=PretrainConfig(steps=1500, batch=25, warmup=150, background=0.0),
        finetune=FinetuneConfig(steps=180, batch=64, learning_rate=3e-4, warmup=18, background=0.0),
    )


def audioset_contrastive(data: str) -> Experiment:
    """AudioSet by contrastive learning, from CLIP's weights (Table 9); needs `initialize` and `merges`."""
    return Experiment(
        data,
        train_modalities=("all",),
        model=CLIP_B16,
        stream=True,
        sampling=Sampling(stride=32, zoom=_CROPS),
        augment=PAPER,
        distill=20_000,
        pretrain=PretrainConfig(
            epochs=32, batch=1024, learning_rate=8e-4, warmup=1000, background=0.0, **_TABLE_7
        ),
        probe=ProbeConfig(temperature=1.0, epochs=360, batch=256, learning_rate=1e-2, warmup=200, **_TABLE_7),
        finetune=FinetuneConfig(
            epochs=30, batch=128, learning_rate=1e-4, warmup=1000, background=0.0, **_TABLE_7
        ),
        scale=_LARGE,
    )


def audioset_mae(data: str) -> Experiment:
    """AudioSet by masked autoencoding, from scratch (Table 9, "MAE")."""
    like = audioset_contrastive(data)
    return replace(
        like,
        objective="mae",
        model=MAE_B16,
        pretrain=replace(like.pretrain, epochs=256, warmup=2000),
        probe=replace(like.probe, batch=128),
        finetune=replace(like.finetune, epochs=60, batch=64, warmup=2000),
    )


def kinetics(data: str) -> Experiment:
    """Kinetics-400 from AudioSet's encoders (Table 10): `initialize` names a run's `pretrained/`.

    D_SD is a fifth of Kinetics' examples; for "distill-on-AS" (Table 1), `distill_data` names AudioSet's
    folder and `held_out` is 0.
    """
    return _from_encoders(audioset_contrastive(data))


def kinetics_mae(data: str) -> Experiment:
    """Kinetics-400 from AudioSet's encoders by masked autoencoding (Table 7, "MAE"); as `kinetics`."""
    return _from_encoders(audioset_mae(data))


def imagenet_captions(data: str) -> Experiment:
    """ImageNet-Captions on CLIP's own encoders (Table 11); needs `initialize` and `merges`.

    Nothing is augmented (App. E), so no path is dropped, and all crops are centred.
    """
    return replace(
        _from_encoders(audioset_contrastive(data)),
        model=replace(CLIP_B16, drop_path=0.0),
        sampling=Sampling(centred=True),
        augment=AugmentConfig(),
    )


def _from_encoders(like: Experiment) -> Experiment:
    """Return an experiment that begins with pretrained encoders; D_SD is a fifth of its labelled examples."""
    return replace(like, held_out=0.2, pretrain=replace(like.pretrain, epochs=0))


EXPERIMENTS: dict[str, Callable[[str], Experiment]] = {
    experiment.__name__: experiment
    for experiment in (
        digits,
        digits_mae,
        audioset_contrastive,
        audioset_mae,
        kinetics,
        kinetics_mae,
        imagenet_captions,
    )
}
