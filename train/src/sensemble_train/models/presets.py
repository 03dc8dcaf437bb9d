"""Models by name: small ones, and the paper's vit_b16, clip_b16 and mae_b16 (Tables 5 and 6, App. D)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.spec import InputSpec

from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.frontend import RATE
from sensemble_train.models.model import Description
from sensemble_train.models.model_config import ModelConfig

MODALITIES = ("audio", "text", "video")

SMALL = ModelConfig()
VIT_B16 = ModelConfig(
    name="vit_b16",
    width=768,
    depth=12,
    heads=12,
    text_heads=12,
    embedding=768,
    drop_path=0.1,
    frames=8,
    side=224,
    seconds=8.0,
    tokens=60,
    vocabulary=50262,
)
"""The same ViT-B/16 for every modality, at the input sizes of Table 6."""
CLIP_B16 = replace(VIT_B16, name="clip_b16", text_heads=8, embedding=512, vocabulary=49408)
"""The shape of CLIP ViT-B/16, whose text encoder and vocabulary are smaller (Table 5)."""
MAE_B16 = replace(VIT_B16, name="mae_b16")


def small(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Encoders of about half a million parameters with convolutional stems, which learn from few clips."""
    plain = replace(_plain(shape), activation="relu")
    configs = {"audio": replace(plain, stem=(32, 64), patch=32), "text": _text(plain, shape)}
    if "video" in specs:
        _, frames, height, _, _ = specs["video"].shape
        configs["video"] = replace(plain, stem=(32, 64), patch=height // 4, tubelet=frames)
    return {m: configs[m] for m in specs}


def small_mae(specs: Mapping[str, InputSpec], shape: ModelConfig = SMALL) -> dict[str, EncoderConfig]:
    """Small encoders to be pretrained by masking, which takes plain patches: convolutions overlap.

    As deep as `small`, and with as many tokens of a film, so that two cores train them in minutes too.
    """
    plain = replace(_plain(shape), project=False)
    audio = replace(plain, sinusoidal=True)
    configs = {"audio": audio, "text": _text(audio, shape)}
    if "video" in specs:
        _, frames, height, _, _ = specs["video"].shape
        configs["video"] = replace(plain, patch=height // 4, tubelet=frames)
    return {m: configs[m] for m in specs}


def vit_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = MODALITIES,
    task: Task = "multi-label",
    shape: ModelConfig = VIT_B16,
) -> Description:
    """The paper's contrastive model (App. D).

    Args:
        labels: name of each class.
        modalities: which to encode.
        task: of the labels.
        shape: its sizes.
    """
    seen = replace(_plain(shape), spread=False)
    return Description(specs(shape, modalities), _configs(modalities, seen, seen, shape), labels, task)


def clip_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = MODALITIES,
    task: Task = "multi-label",
    shape: ModelConfig = CLIP_B16,
) -> Description:
    """The paper's contrastive model in the shape of CLIP ViT-B/16, for `clip_weights`; as `vit_b16`."""
    seen = replace(_plain(shape), spread=False, activation="quick_gelu", clip=True)
    return Description(specs(shape, modalities), _configs(modalities, seen, seen, shape), labels, task)


def mae_b16(
    labels: tuple[str, ...],
    modalities: Sequence[str] = MODALITIES,
    task: Task = "multi-label",
    shape: ModelConfig = MAE_B16,
) -> Description:
    """The paper's model for MAE: one ViT-B/16 a modality, but the last block is shared; as `vit_b16`."""
    video = replace(_plain(shape), spread=False, project=False)
    configs = _configs(modalities, replace(video, sinusoidal=True), video, shape)
    return Description(specs(shape, modalities), configs, labels, task, shape.shared)


PAPERS: dict[str, Callable[[tuple[str, ...], Sequence[str], Task, ModelConfig], Description]] = {
    "vit_b16": vit_b16,
    "clip_b16": clip_b16,
    "mae_b16": mae_b16,
}


def specs(shape: ModelConfig, modalities: Sequence[str]) -> dict[str, InputSpec]:
    """Return the inputs of the paper's encoders (Table 6)."""
    seconds, frames, side = shape.seconds, shape.frames, shape.side
    film = 1, frames, side, side, 3
    ttl = 2 * seconds
    found = {
        "audio": InputSpec("audio", "float32", (1, round(RATE * seconds)), RATE, seconds, 1.0, ttl),
        "text": InputSpec("text", "int64", (1, shape.tokens), 0, 0, 0, ttl),
        "video": InputSpec("video", "uint8", film, frames / seconds, seconds, 1.0, ttl),
    }
    return {m: found[m] for m in modalities}


def _plain(shape: ModelConfig) -> EncoderConfig:
    return EncoderConfig(shape.width, shape.depth, shape.heads, shape.embedding, drop_path=shape.drop_path)


def _text(like: EncoderConfig, shape: ModelConfig) -> EncoderConfig:
    """Return the text encoder: of heads as wide as those of `like`."""
    heads = shape.text_heads
    width = like.width // like.heads * heads
    return replace(like, width=width, heads=heads, vocabulary=shape.vocabulary)


def _configs(
    modalities: Sequence[str], audio: EncoderConfig, video: EncoderConfig, shape: ModelConfig
) -> dict[str, EncoderConfig]:
    configs = {"audio": audio, "text": _text(audio, shape), "video": video}
    return {m: configs[m] for m in modalities}
