"""Sound: log-mel spectrograms, cut into patches as images are."""

from sensemble_sensors.spec import InputSpec
from torch import Tensor, nn
from torch.nn import functional
from torchaudio.transforms import FrequencyMasking, TimeMasking

from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import (
    ClassToken,
    EncoderConfig,
    PatchEncoder,
    Trunk,
    flat,
    make_stem,
    positions,
)
from sensemble_train.models.frontend import MEL_BINS, RATE, LogMel, frames_of
from sensemble_train.models.kinds.kind import Kind
from sensemble_train.models.model_config import ModelConfig

AUDIO_MEAN, AUDIO_STD = -4.2677393, 4.5689974
"""Mean and standard deviation of AudioSet's log-mel (paper, Table 6)."""


class Waveform(Kind):
    """Sound: float32 [B, S] in [-1, 1] at 16 kHz."""

    name = "waveform"

    def spec(self, modality: str, shape: ModelConfig, hop: float) -> InputSpec:
        """Return float32 [1, S]."""
        samples = round(RATE * shape.seconds)
        return InputSpec(modality, "float32", (1, samples), RATE, shape.seconds, hop, 2 * shape.seconds)

    def encoder_config(self, base: EncoderConfig, spec: InputSpec, shape: ModelConfig) -> EncoderConfig:
        """Return `base`: the presets are written for sound."""
        del spec, shape
        return base

    def encoder(self, spec: InputSpec, config: EncoderConfig) -> "WaveformEncoder":
        """See `Kind`."""
        return WaveformEncoder(spec, config)

    def augment(self, features: Tensor, config: AugmentConfig) -> Tensor:
        """Apply SpecAugment."""
        if not (config.time or config.bins):
            return features
        return spec_augment(features, config.time, config.bins)


class WaveformEncoder(PatchEncoder):
    """float32 [B, S] in [-1, 1] at 16 kHz -> float32 [B, d]."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        frames = frames_of(spec.shape[1])
        self.patch = config.patch
        self.padding = -frames % config.patch
        self.grid = (frames + self.padding) // config.patch, MEL_BINS // config.patch
        self.log_mel = LogMel()
        self.stem = make_stem(1, config)
        self.position = positions(self.grid, config)
        self.start = ClassToken(config.width) if config.clip else nn.Identity()
        self.trunk = Trunk(config)

    def front(self, raw: Tensor) -> Tensor:
        """Return the normalized log-mel, padded to whole patches: [B, 1, frames, 128]."""
        image = (self.log_mel(raw) - AUDIO_MEAN) / (2 * AUDIO_STD)
        return functional.pad(image.view(-1, 1, *image.shape[1:]), (0, 0, 0, self.padding))

    def tokens(self, features: Tensor) -> Tensor:
        """Cut log-mel images into patches."""
        return self.start(flat(self.stem(features)) + self.position)  # type: ignore[no-any-return]


def spec_augment(log_mel: Tensor, time: int, bins: int) -> Tensor:
    """Hide one span of time and one of mel bins in each example (Park et al., 2019).

    Args:
        log_mel: normalized, float32 [B, 1, frames, bins]; hidden values become 0, the mean.
        time: frames that the first span is shorter than.
        bins: mel bins that the second span is shorter than.
    """
    hidden = TimeMasking(time, iid_masks=True)(log_mel.transpose(2, 3))
    return FrequencyMasking(bins, iid_masks=True)(hidden).transpose(2, 3)  # type: ignore[no-any-return]
