"""Sound: log-mel spectrograms, cut into patches as images are.

In training, voices, microphones and noises change. Our own encoders see mel energies [B, 1, frames, bins]:
energies of independent sounds add, a filter scales bins, a longer vocal tract stretches the mel axis. There
is no gain: derived presets are independent of the level. Pretrained encoders hear waves [B, S], which change
likewise; a change of pace also moves the pitch.
"""

import math

import torch
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn
from torch.nn import functional
from torchaudio.transforms import FrequencyMasking, TimeMasking

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
from sensemble_train.models.model_config import ModelConfig

_LEVELS = -60.0, 0.0  # dB of full scale
_TILTS = -1.0, 2.0  # how fast noise falls with frequency, in powers of it: blue, white, pink, brown
_TONES = 60.0, 6000.0  # Hz
_PARTIALS = 4
_BEATS = 12  # stretches of a window in which a sound may be on or off
AUDIO_MEAN, AUDIO_STD = -4.2677393, 4.5689974  # of AudioSet's log-mel (paper, Table 6)
_POINTS = 6  # of an equalizer's curve, between which it is linear
_NOISE = 10.0, 40.0  # dB between the sound's mean energy and that of added noise
_SLOPE = 4.0  # largest fall or rise of noise over all bins, in units of the natural logarithm: brown to blue
_GATE = 10.0, 35.0  # dB below a sound's loudest moment, under which a noise gate closes
_MOMENT = 400  # samples over which a gate measures loudness, 25 ms, and then fades
_NOTHING = 1e-20  # least energy to divide by: an example may be silent


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


def change_sound(energies: Tensor, config: AugmentConfig) -> Tensor:
    """Return mel energies float32 [B, 1, frames, bins], at least 0, changed as `config` says."""
    x = energies
    if config.voice or config.pace or config.shift:
        x = resample(x, config.voice, config.pace, config.shift)
    if config.tilt:
        x = x * equalizer(x, config.tilt)
    if config.noise:
        x = add_noise(x, config.noise)
    return x


def change_waves(waves: Tensor, config: AugmentConfig) -> Tensor:
    """Return sound float32 [B, S] changed by `pace`, `shift`, `tilt`, `noise` and `gate` of `config`."""
    x = waves
    if config.pace or config.shift:
        places = _stretched(x.shape[1], (config.pace * _signed(x)).exp(), config.shift * _signed(x))
        grid = torch.stack([places, torch.zeros_like(places)], dim=2)[:, None]
        x = functional.grid_sample(x[:, None, None], grid, align_corners=False)[:, 0, 0]
    spectrum = torch.fft.rfft(x)
    count = spectrum.shape[1]
    if config.tilt:
        points = config.tilt * math.log(10) / 20 * torch.randn(len(x), 1, _POINTS, device=x.device)
        curve = functional.interpolate(points, size=count, mode="linear", align_corners=True)
        spectrum = spectrum * curve[:, 0].exp()
    changed = torch.fft.irfft(spectrum, n=x.shape[1])
    if config.noise:
        slope = _SLOPE / 2 * _signed(x)[:, None] * torch.linspace(-1, 1, count, device=x.device)
        noise = torch.fft.irfft(torch.fft.rfft(torch.randn_like(x)) * (slope / 2).exp(), n=x.shape[1])
        low, high = _NOISE
        below = low + (high - low) * torch.rand(len(x), 1, device=x.device)
        chosen = torch.rand(len(x), 1, device=x.device) < config.noise
        scale = changed.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True) * 10 ** (-below / 20)
        changed = changed + torch.where(chosen, scale, 0.0) * noise
    if config.gate:
        chosen = torch.rand(len(x), 1, device=x.device) < config.gate
        changed = torch.where(chosen, gated(changed), changed)
    clipped: Tensor = changed.clamp(-1, 1)
    return clipped


def gated(waves: Tensor) -> Tensor:
    """Silence the fainter moments of sound [B, S], as many devices do."""
    low, high = _GATE
    below = low + (high - low) * torch.rand(len(waves), 1, device=waves.device)
    power = _smooth(waves.square())
    heard = power > power.amax(dim=1, keepdim=True) * 10 ** (-below / 10)
    return waves * _smooth(heard.float())


def _smooth(x: Tensor) -> Tensor:
    """Return the mean of [B, S] over a moment around each sample. A pool takes 20 times as long."""
    sums = functional.pad(x.double().cumsum(dim=1), (1, 0))
    place = torch.arange(x.shape[1], device=x.device)
    first, end = (place - _MOMENT // 2).clamp(min=0), (place + _MOMENT // 2 + 1).clamp(max=x.shape[1])
    return ((sums[:, end] - sums[:, first]) / (end - first)).to(x.dtype)


def resample(x: Tensor, voice: float, pace: float, shift: float) -> Tensor:
    """Stretch and move each example along both axes; energy comes in from nowhere.

    `voice` is the largest stretch of the mel axis, and move of it in halves of its length: vocal tracts of
    other lengths (Jaitly and Hinton, 2013). `pace` is the largest stretch of time, as a logarithm; `shift`
    the largest move, in halves of the window.
    """
    across = _stretched(x.shape[3], (voice * _signed(x)).exp(), voice * _signed(x))
    along = _stretched(x.shape[2], (pace * _signed(x)).exp(), shift * _signed(x))
    # What `affine_grid` makes, in a third of its time: the two axes do not depend on each other.
    places = across[:, None], along[:, :, None]
    grid = torch.stack([place.expand(len(x), *x.shape[2:]) for place in places], dim=3)
    return functional.grid_sample(x, grid, align_corners=False)


def _stretched(count: int, scale: Tensor, move: Tensor) -> Tensor:
    """Return where `count` cells of an axis from -1 to 1 are read, [B, count]; scale and move are [B]."""
    centres = (2 * torch.arange(count, device=scale.device) + 1) / count - 1
    return scale[:, None] * centres + move[:, None]


def equalizer(x: Tensor, tilt: float) -> Tensor:
    """Return the gains of energies [B, 1, 1, bins] of random microphones; `tilt` is a deviation in dB."""
    points = tilt * math.log(10) / 10 * torch.randn(len(x), 1, _POINTS, device=x.device)
    torch.rand(3 * len(x), device=x.device)  # draws of a removed change, so that a seed gives the same model
    curve = functional.interpolate(points, size=x.shape[3], mode="linear", align_corners=True)
    return curve.exp()[:, :, None]


def add_noise(x: Tensor, share: float) -> Tensor:
    """Add noise of a random colour to a share of the examples, with Gaussian noise's exponential energies."""
    slope = _SLOPE * _signed(x).view(-1, 1, 1, 1)
    colour = (slope * torch.linspace(-1, 1, x.shape[3], device=x.device) / 2).exp()
    noise = colour * -torch.log1p(-torch.rand_like(x))  # `exponential_` takes five times as long on a CPU
    low, high = _NOISE
    below = low + (high - low) * torch.rand(len(x), 1, 1, 1, device=x.device)
    chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < share
    mean, own = (energies.mean(dim=(2, 3), keepdim=True) for energies in (x, noise))
    ratio = mean / own.clamp(min=_NOTHING)
    return x + noise * torch.where(chosen, ratio * 10 ** (-below / 10), 0.0)


def hide(x: Tensor, time: int, bins: int) -> Tensor:
    """Zero spans of [B, 1, frames, bins], shorter than `time` and `bins` (SpecAugment; Park et al., 2019)."""
    x = x.transpose(2, 3)
    if time:
        x = TimeMasking(time, iid_masks=True)(x)
    if bins:
        x = FrequencyMasking(bins, iid_masks=True)(x)
    return x.transpose(2, 3)


def _signed(x: Tensor) -> Tensor:
    """Return a number from -1 to 1 for each example, [B]."""
    return 2 * torch.rand(len(x), device=x.device) - 1
