"""The front ends against outside oracles: torchaudio's Kaldi features and torchvision's normalization."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_train.models.frontend import FLOOR as RELATIVE_FLOOR
from sensemble_train.models.frontend import LogMel, Mel, RelativeFrames, RelativeLog, VideoInput, frames_of
from torch import Tensor
from torchaudio.compliance import kaldi

LOG_MEL = LogMel()
FLOOR = math.log(torch.finfo(torch.float32).eps)


def fbank(wave: Tensor, dtype: torch.dtype = torch.float64) -> Tensor:
    """Kaldi's features, in float64 so that the oracle's own rounding is not counted."""
    given = {"sample_frequency": 16000, "num_mel_bins": 128, "dither": 0.0, "frame_shift": 10}
    given |= {"htk_compat": True, "use_energy": False, "window_type": "hamming"}
    features = [kaldi.fbank(row[None].to(dtype), **given) for row in wave]
    return torch.stack(features).float().clamp(min=FLOOR)


@settings(max_examples=15)
@given(
    samples=st.integers(400, 8_000),
    batch=st.integers(1, 3),
    level=st.floats(1e-4, 0.3),
    offset=st.floats(-0.5, 0.5),
    seed=st.integers(0, 1000),
)
def test_log_mel_equals_kaldi(samples: int, batch: int, level: float, offset: float, seed: int) -> None:
    noise = torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))
    wave = (level * noise + offset).clamp(-1, 1)
    ours = LOG_MEL(wave)
    assert ours.shape == (batch, frames_of(samples), 128)
    # Just above the floor, float32 keeps fewer digits of a bin that nearly cancels, in any implementation.
    loud = fbank(wave) > FLOOR + 3
    torch.testing.assert_close(ours[loud], fbank(wave)[loud], atol=1e-3, rtol=0)
    torch.testing.assert_close(ours, fbank(wave), atol=1e-2, rtol=0)


@pytest.mark.parametrize("hertz", [60, 440, 1000, 7000])
def test_log_mel_of_a_tone_equals_kaldi(hertz: int) -> None:
    time = torch.arange(16000) / 16000
    noise = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    wave = (0.3 * torch.sin(2 * math.pi * hertz * time) + 0.01 * noise)[None]
    exact = fbank(wave)
    # A loud tone costs float32 digits of the quiet bins, in torchaudio too.
    allowed = max(1e-3, float((fbank(wave, torch.float32) - exact).abs().max()))
    torch.testing.assert_close(LOG_MEL(wave), exact, atol=allowed, rtol=0)


def test_silence_is_the_floor() -> None:
    assert torch.equal(LOG_MEL(torch.zeros(1, 1600)), torch.full((1, 8, 128), FLOOR))


def relative(wave: Tensor) -> Tensor:
    return RelativeLog()(Mel()(wave)[:, None])


@settings(max_examples=25)
@given(decibels=st.floats(-50, 12), snr=st.floats(0, 40), seed=st.integers(0, 1000))
def test_the_relative_log_mel_does_not_depend_on_the_level(decibels: float, snr: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    burst = torch.zeros(1, 8000)
    burst[:, 2000:5000] = torch.sin(0.3 * torch.arange(3000.0)) + 0.3 * torch.randn(3000, generator=draw)
    wave = 0.2 * burst + 0.2 * 10 ** (-snr / 20) * torch.randn(1, 8000, generator=draw)
    gain = 10 ** (decibels / 20)
    torch.testing.assert_close(relative(gain * wave), relative(wave), atol=0.01, rtol=0)


def test_a_relative_log_mel_is_kaldis_less_the_logarithm_of_the_mean_energy() -> None:
    wave = 0.1 * torch.randn(2, 1600, generator=torch.Generator().manual_seed(0))
    energies = fbank(wave).double().exp()
    mean = energies.mean(dim=(1, 2), keepdim=True)
    expected = ((energies / mean + RELATIVE_FLOOR).log() + 2) / 2
    torch.testing.assert_close(relative(wave)[:, 0], expected.float(), atol=2e-3, rtol=0)


def test_silence_has_no_relative_level_and_is_not_amplified() -> None:
    silent = relative(torch.zeros(1, 1600))
    torch.testing.assert_close(silent, torch.full_like(silent, (math.log(RELATIVE_FLOOR) + 2) / 2))
    faint = relative(1e-7 * torch.randn(1, 1600, generator=torch.Generator().manual_seed(0)))
    assert (faint - silent).abs().max() < 0.1  # far below what 16 bits can hold


@settings(max_examples=25)
@given(gain=st.floats(0.4, 1.3), shift=st.floats(-20, 30), seed=st.integers(0, 1000))
def test_relative_frames_ignore_brightness_and_contrast(gain: float, shift: float, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    frames = torch.randint(60, 160, (2, 3, 16, 12, 3), generator=draw)
    changed = (gain * frames + shift).round().clamp(0, 255)
    expected, found = (RelativeFrames()(x.to(torch.uint8)) for x in (frames, changed))
    assert expected.shape == (6, 3, 16, 12)
    level = 1 / float(changed.std())  # rounding moves a value, and the mean, by half a level at most
    torch.testing.assert_close(found, expected, atol=1.01 * level, rtol=0)
    window = expected.reshape(2, -1)
    torch.testing.assert_close(window.mean(dim=1), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(window.std(dim=1), torch.ones(2), atol=0.01, rtol=0)
    plain = torch.full((1, 2, 8, 8, 3), 90, dtype=torch.uint8)
    assert not RelativeFrames()(plain).any()
    plain[0, 0, 0, 0, 0] += 1
    assert RelativeFrames()(plain).abs().max() < 1


def test_video_input_equals_torchvision() -> None:
    from torchvision.transforms.v2 import functional as vision  # only here, for it takes 2 s

    frames = torch.randint(0, 256, (2, 3, 8, 6, 3), dtype=torch.uint8)
    images = vision.to_dtype(frames.flatten(0, 1).permute(0, 3, 1, 2), torch.float32, scale=True)
    expected = vision.normalize(images, [0.45] * 3, [0.225] * 3)
    torch.testing.assert_close(VideoInput()(frames), expected, atol=1e-5, rtol=0)
