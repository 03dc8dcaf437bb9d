"""Sound: log-mel spectrograms, cut into patches as images are."""

import math

import torch
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional

from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import (
    ClassToken,
    EncoderConfig,
    TokenEncoder,
    Trunk,
    flat,
    make_stem,
    positions,
)
from sensemble_train.models.frontend import MEL_BINS, RATE, SILENCE, LogMel, Mel, RelativeLog, frames_of
from sensemble_train.models.kinds.kind import Kind, between
from sensemble_train.models.kinds.sound_augment import change_sound, change_waves, hide
from sensemble_train.models.model_config import ModelConfig

_LEVELS = -60.0, 0.0  # dB of full scale
_TILTS = -1.0, 2.0  # how fast noise falls with frequency, in powers of it: blue, white, pink, brown
_TONES = 60.0, 6000.0  # Hz
_PARTIALS = 4
_BEATS = 12  # stretches of a window in which a sound may be on or off
AUDIO_MEAN, AUDIO_STD = -4.2677393, 4.5689974  # of AudioSet's log-mel (paper, Table 6)


class Waveform(Kind):
    """Sound: float32 [B, S] in [-1, 1] at 16 kHz."""

    name = "waveform"

    def spec(self, modality: Modality, shape: ModelConfig, hop: float) -> InputSpec:
        """Return float32 [1, S]."""
        samples = round(RATE * shape.seconds)
        return InputSpec(
            modality.name, "float32", (1, samples), RATE, shape.seconds, hop, 2 * shape.seconds, modality.kind
        )

    def encoder(self, spec: InputSpec, config: EncoderConfig) -> "WaveformEncoder":
        """See `Kind`."""
        return WaveformEncoder(spec, config)

    def change(self, raw: Tensor, config: AugmentConfig, tokenizer: Tokenizer | None) -> Tensor:
        """Change pace, place in time, microphones and noise."""
        del tokenizer
        return change_waves(raw, config)

    def augment(
        self, features: Tensor, config: AugmentConfig, encoder: EncoderConfig, tokenizer: Tokenizer | None
    ) -> Tensor:
        """Change voices, rooms and noise, and hide spans."""
        del tokenizer
        if config.sound:
            if encoder.relative:
                features = change_sound(features, config)
            else:
                energies = change_sound((features * (2 * AUDIO_STD) + AUDIO_MEAN).exp(), config)
                features = (energies.clamp(min=SILENCE).log() - AUDIO_MEAN) / (2 * AUDIO_STD)
        return hide(features, config.time, config.bins)

    def backgrounds(self, spec: InputSpec, encoder: EncoderConfig, count: int, draw: Generator) -> Tensor:
        """Return silence, noises, tones and knocks at any level."""
        del encoder
        samples, rate = spec.shape[1], spec.rate
        wave = torch.randn(count, samples, generator=draw)
        tilt = between(count, *_TILTS, draw)[:, None]
        hertz = torch.fft.rfftfreq(samples, 1 / rate).clamp(min=20)
        noise = torch.fft.irfft(torch.fft.rfft(wave) * (hertz / 1000) ** (-tilt / 2), samples)
        time = torch.arange(samples) / rate
        low, high = (math.log(limit) for limit in _TONES)
        pitch = between(count, low, high, draw).exp()[:, None, None]
        partial = torch.arange(1, _PARTIALS + 1)[:, None]
        strength = torch.rand(count, _PARTIALS, 1, generator=draw) ** 2 / partial
        glide = 1 + 0.5 * between(count, -1, 1, draw)[:, None, None] * time / time[-1]
        tone = (strength * torch.sin(2 * math.pi * pitch * glide * partial * time)).sum(dim=1)
        sort = torch.arange(count) % 4
        sound = torch.where((sort % 2 == 0)[:, None], noise, tone)
        gate = functional.interpolate(
            (torch.rand(count, 1, _BEATS, generator=draw) < 0.4).float(), size=samples, mode="linear"
        )[:, 0]
        sound = torch.where((sort >= 2)[:, None], gate * sound, sound)
        sound = sound / sound.abs().amax(dim=1, keepdim=True).clamp(min=1e-6)
        quiet = 10 ** (between(count, -90, -50, draw) / 20)[:, None] * wave / 4
        sound = 10 ** (between(count, *_LEVELS, draw) / 20)[:, None] * sound + quiet
        sound[::10] = quiet[::10]
        sound[::20] = 0
        return sound.clamp(-1, 1)


class WaveformEncoder(TokenEncoder):
    """float32 [B, S] in [-1, 1] at 16 kHz -> float32 [B, d]."""

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        frames = frames_of(spec.shape[1])
        self.padding = -frames % config.patch
        self.grid = (frames + self.padding) // config.patch, MEL_BINS // config.patch
        self.relative = config.relative
        self.mel = Mel() if config.relative else LogMel()
        self.level = RelativeLog()
        self.stem = make_stem(1, config)
        self.position = positions(self.grid, config)
        self.start = ClassToken(config.width) if config.clip else nn.Identity()
        self.trunk = Trunk(config)

    def front(self, raw: Tensor) -> Tensor:
        """Return mel energies [B, 1, frames, 128] or, at Table 6's scale, the image of their logarithms."""
        mel = self.mel(raw)
        mel = mel.view(-1, 1, *mel.shape[1:])
        return mel if self.relative else self._padded((mel - AUDIO_MEAN) / (2 * AUDIO_STD))

    def tokens(self, features: Tensor) -> Tensor:
        """Normalize log-mel images, and cut them into patches."""
        images = self._padded(self.level(features)) if self.relative else features
        return self.start(flat(self.stem(images)) + self.position)  # type: ignore[no-any-return]

    def _padded(self, image: Tensor) -> Tensor:
        return functional.pad(image, (0, 0, 0, self.padding))
