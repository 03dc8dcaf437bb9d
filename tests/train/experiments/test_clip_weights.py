"""A CLIP in OpenAI's form becomes ours, and gives the features that open_clip computes with it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from sensemble_train.errors import CheckpointError, ConfigurationError
from sensemble_train.experiments.models import CLIP_B16, paper_model
from sensemble_train.experiments.openai_clip import CLIP_MEAN, CLIP_STD, initialize, read_clip
from sensemble_train.models.kinds import waveform
from sensemble_train.models.model import Model
from torch import Tensor, nn
from torch.nn import functional

from tests.train.openai_clip import archive, openai_clip

if TYPE_CHECKING:
    import open_clip

WORDS = 600
SIZES = ("input_resolution", "context_length", "vocab_size")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return openai_clip(depth=2, vocabulary=WORDS)


@pytest.fixture(scope="module")
def oracle(state: dict[str, Tensor]) -> "open_clip.CLIP":
    from open_clip.model import build_model_from_openai_state_dict  # takes seconds

    return build_model_from_openai_state_dict(dict(state)).float().eval()


@pytest.fixture(scope="module")
def model(state: dict[str, Tensor]) -> Model:
    model = shallow(frames=1)
    assert initialize(model, state) == pytest.approx(4.6052)
    return model


def shallow(frames: int, depth: int = 2) -> Model:
    shape = replace(CLIP_B16, frames=frames, depth=depth, vocabulary=WORDS)
    return Model(paper_model(shape, ("a", "b")), None).eval()


def test_openais_whole_vit_b16_has_no_key_too_few_or_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waveform, "LogMel", nn.Identity)  # has no parameters, and needs real numbers
    with torch.device("meta"):
        whole, model = openai_clip(), Model(paper_model(CLIP_B16, ("a", "b")), None)
    whole["logit_scale"] = torch.tensor(4.6052)
    initialize(model, whole)
    names = [name for name in whole if name not in SIZES]
    assert sum(whole[name].numel() for name in names) == 149_620_737  # what OpenAI's ViT-B/16 has
    for name in (*names[:10], *names[10::40], *names[-5:]):
        with pytest.raises((CheckpointError, ConfigurationError)):
            initialize(model, {n: v for n, v in whole.items() if n != name})
    for name in ("visual.ln_mid.weight", "transformer.resblocks.3.ln_3.weight", "head"):
        with pytest.raises((CheckpointError, ConfigurationError)):
            initialize(model, {**whole, name: torch.zeros(768)})


def check_features(model: Model, oracle: "open_clip.CLIP", pixels: Tensor, tokens: Tensor) -> list[Tensor]:
    """Compare the features of images and captions with open_clip's; return open_clip's."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    with torch.no_grad():
        image = oracle.encode_image((pixels[:, 0].permute(0, 3, 1, 2) / 255 - mean) / std, normalize=True)
        torch.testing.assert_close(model.encoders["video"](pixels), image, atol=1e-4, rtol=0)
        text = oracle.encode_text(functional.pad(tokens, (0, 17)), normalize=True)
        torch.testing.assert_close(model.encoders["text"](tokens), text, atol=1e-4, rtol=0)
    return [image, text]


def test_an_image_and_a_caption_have_open_clips_features(model: Model, oracle: "open_clip.CLIP") -> None:
    pixels = torch.randint(0, 256, (3, 1, 224, 224, 3), dtype=torch.uint8)
    tokens = torch.zeros(4, 60, dtype=torch.long)
    for row, length in enumerate((1, 2, 17, 58)):
        tokens[row, : length + 1] = torch.randint(1, WORDS - 1, (length + 1,))
        tokens[row, length + 1] = WORDS - 1
    for found in check_features(model, oracle, pixels, tokens):
        assert (found[0] - found[1]).abs().max() > 1e-3  # which a comparison of constants would not show


def test_longer_videos_start_from_the_image_in_every_frame(state: dict[str, Tensor]) -> None:
    model = shallow(frames=3)
    initialize(model, state)
    video = model.encoders["video"]
    assert not video.time.any()
    torch.testing.assert_close(video.space[0, 0], state["visual.positional_embedding"][1:])
    frame = torch.randint(0, 256, (1, 1, 224, 224, 3), dtype=torch.uint8)
    with torch.no_grad():
        tokens = video.tokens(frame.expand(1, 3, 224, 224, 3))[:, 1:].view(3, 196, 768)
    torch.testing.assert_close(tokens[0], tokens[2])


def test_audio_is_a_grey_picture_of_another_shape(model: Model, oracle: "open_clip.CLIP") -> None:
    audio = model.encoders["audio"]
    assert audio.grid == (50, 8)
    square = oracle.visual.positional_embedding[1:].T.view(1, 768, 14, 14)
    expected = functional.interpolate(square, (50, 8), mode="bilinear").flatten(2).transpose(1, 2)
    torch.testing.assert_close(audio.position, expected)
    log_mel = torch.randn(2, 1, 800, 128)
    with torch.no_grad():
        patches = oracle.visual.conv1(log_mel.expand(2, 3, 800, 128))
        torch.testing.assert_close(audio.stem(log_mel), patches, atol=1e-4, rtol=1e-4)
        assert audio(0.1 * torch.randn(1, 128_000)).isfinite().all()


WRITERS: dict[str, Callable[[dict[str, Tensor], Path], object]] = {
    "clip.pt": lambda state, path: archive(state).save(path),
    "state.pt": torch.save,
    "old.pt": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "clip.safetensors": lambda state, path: save_file({k: v.contiguous() for k, v in state.items()}, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_form_of_the_file_is_read(name: str, tmp_path: Path) -> None:
    state = openai_clip(depth=1, vocabulary=9)
    WRITERS[name](state, tmp_path / name)
    read = read_clip(tmp_path / name)
    assert read.keys() == state.keys()
    for key, value in state.items():
        assert read[key].dtype == value.dtype
        assert torch.equal(read[key], value)


def test_what_is_no_clip_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^[^\n]*ViT-B-16\.pt$"):
        read_clip(tmp_path / "missing.pt")
