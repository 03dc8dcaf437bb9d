"""Changes of sound, frames and captions against outside oracles, and their limits as properties."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_runtime.bundle.tokenize import tokenize
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.kinds import waveform
from sensemble_train.models.kinds.frames import change_frames, warp
from sensemble_train.models.kinds.text import change_captions, misspelt
from sensemble_train.models.kinds.waveform import change_sound, change_waves
from sensemble_train.models.tokenizer import train_tokenizer

SOUND = AugmentConfig(voice=0.1, pace=0.2, shift=0.3, tilt=6, noise=0.5)
FRAMES = AugmentConfig(brightness=0.3, contrast=0.3, saturation=0.5, hue=0.1)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), level=st.floats(1e-4, 1e4))
def test_changes_of_sound_keep_energies_and_do_not_depend_on_the_level(seed: int, level: float) -> None:
    energies = torch.rand(6, 1, 98, 128, generator=torch.Generator().manual_seed(seed)) ** 4
    energies[0] = 0
    found = []
    for x in (energies, level * energies):
        torch.manual_seed(seed)
        found.append(change_sound(x, SOUND))
    assert found[0].shape == energies.shape
    assert found[0].isfinite().all()
    assert (found[0] >= 0).all()
    torch.testing.assert_close(found[1] / level, found[0], rtol=1e-3, atol=1e-6)


def test_each_change_of_sound_is_of_its_share_and_size() -> None:
    torch.manual_seed(0)
    x = torch.rand(400, 1, 98, 128)
    added = waveform.add_noise(x, 0.25) - x
    changed = added.flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.25, abs=0.07)
    ratio = added[changed].mean(dim=(1, 2, 3)) / x[changed].mean(dim=(1, 2, 3))
    assert (ratio <= 1.001).all()
    assert (ratio > 0.9e-4).all()
    decibels = 10 * waveform.equalizer(x, 6.0).log10()
    assert decibels[..., 0].std().item() == pytest.approx(6, rel=0.15)


def test_a_stretched_mel_axis_moves_a_tone_and_a_shift_moves_a_click() -> None:
    torch.manual_seed(0)
    tone = torch.zeros(50, 1, 98, 128)
    tone[:, :, :, 60] = 1
    peaks = waveform.resample(tone, 0.1, 0.0, 0.0)[:, 0, 50].argmax(dim=1)
    assert 3 < (peaks - 60).abs().max() < 15
    assert len(peaks.unique()) > 5
    click = torch.zeros(50, 1, 98, 128)
    click[:, :, 49] = 1
    moved = waveform.resample(click, 0.0, 0.0, 0.2)[:, 0, :, 64].argmax(dim=1) - 49
    assert 5 < moved.abs().max() <= 10


def test_a_gate_silences_what_is_faint_and_leaves_a_word_as_it_is() -> None:
    draw = torch.Generator().manual_seed(0)
    waves = 0.001 * torch.randn(400, 16000, generator=draw)
    waves[:, 6000:9000] = torch.sin(torch.arange(3000) / 5)
    torch.manual_seed(0)
    changed = change_waves(waves, AugmentConfig(gate=0.5))
    torch.testing.assert_close(changed[:, 6300:8700], waves[:, 6300:8700], rtol=0, atol=1e-5)
    silent = (changed[:, :5000] == 0).all(dim=1)
    assert silent.float().mean().item() == pytest.approx(0.5, abs=0.07)
    torch.testing.assert_close(changed[~silent], waves[~silent], rtol=0, atol=1e-5)


@pytest.mark.parametrize("field", ["brightness", "contrast", "saturation"])
def test_colours_change_as_in_torchvision(field: str) -> None:
    """One of the factors that could have been drawn gives torchvision's picture."""
    from torchvision.transforms.v2 import functional  # only here, for it takes 2 s

    oracle = getattr(functional, f"adjust_{field}")
    torch.manual_seed(0)
    clip = torch.randint(70, 180, (1, 1, 12, 10, 3), dtype=torch.uint8)
    found = change_frames(clip, replace(AugmentConfig(), **{field: 0.3}))
    picture = clip[0, 0].permute(2, 0, 1).float() / 255
    errors = [
        (255 * oracle(picture, factor) - found[0, 0].permute(2, 0, 1)).abs().max()
        for factor in torch.arange(0.7, 1.3, 0.002).tolist()
    ]
    assert min(errors) < 1.5
    assert max(errors) > 10


def test_frames_stay_bytes_and_change_alike_in_time() -> None:
    torch.manual_seed(0)
    clips = torch.randint(0, 256, (6, 1, 16, 12, 3), dtype=torch.uint8).expand(6, 3, 16, 12, 3)
    changed = change_frames(clips, FRAMES)
    assert changed.shape == clips.shape
    assert changed.dtype == torch.uint8
    assert torch.equal(changed[:, 0], changed[:, 2])
    assert (changed != clips).flatten(1).any(dim=1).all()
    plain = torch.full((4, 2, 8, 8, 3), 100, dtype=torch.uint8)
    for alone in ({"contrast": 1.0}, {"hue": 0.5}):
        found = change_frames(plain, replace(AugmentConfig(), **alone))
        assert (found.int() - 100).abs().max() <= 1, alone  # no tint


def test_frames_are_seen_through_one_affine_map_a_clip() -> None:
    """The map that is found from where three corners of a plane lie predicts where the fourth one lies."""
    rows, columns = torch.meshgrid(torch.arange(41.0), torch.arange(61.0), indexing="ij")
    plane = torch.stack([rows, columns, rows + columns], dim=2).expand(20, 2, 41, 61, 3)
    torch.manual_seed(0)
    seen = warp(plane, 0.1)
    assert torch.equal(seen[:, 0], seen[:, 1])
    inner = seen[:, 0, 10:31, 15:46]  # the edges repeat
    first, right, below, across = (inner[:, y, x] for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)))
    torch.testing.assert_close(across, right + below - first, rtol=0, atol=1e-3)
    moved = (inner - plane[:, 0, 10:31, 15:46]).abs().flatten(1).amax(dim=1)
    assert (moved > 0.3).all()
    assert moved.max() < 0.1 * (41 + 61)
    pixels = torch.randint(0, 256, (4, 2, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(warp(pixels, 0.0), pixels)


def test_captions_lose_and_misspell_words_but_never_all_of_them() -> None:
    captions = ["the number seven in the kitchen", "seven", ""]
    tokenizer = train_tokenizer(captions, 400)
    ids = torch.cat([torch.from_numpy(tokenize(tokenizer, caption, 12)) for caption in captions])
    assert torch.equal(change_captions(ids, AugmentConfig(), tokenizer), ids)
    torch.manual_seed(0)
    for _ in range(20):
        changed = change_captions(ids, AugmentConfig(drop=0.9), tokenizer)
        assert changed.dtype == torch.int64
        texts = tokenizer.decode_batch(changed.tolist())
        assert set(texts[0].split()) <= set(captions[0].split())
        assert texts[0].split()
        assert texts[1].strip() == "seven"
        assert not changed[2].any()
    typed = change_captions(ids, AugmentConfig(typos=1.0), tokenizer)
    assert not torch.equal(typed[:2], ids[:2])
    assert torch.equal(typed[2], ids[2])


@given(word=st.text("abcxyz", min_size=1, max_size=8), how=st.floats(0, 0.999), where=st.floats(0, 0.999))
def test_a_typing_error_changes_a_letter_or_two(word: str, how: float, where: float) -> None:
    wrong = misspelt(word, how, where)
    assert wrong
    assert abs(len(wrong) - len(word)) <= 1
    same = sum(a == b for a, b in zip(word, wrong, strict=False))
    tail = sum(a == b for a, b in zip(reversed(word), reversed(wrong), strict=False))
    assert same + tail >= len(word) - 2
