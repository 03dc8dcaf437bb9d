"""The encoders: shapes, unit length, padding, batches, and the size of the paper's own."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.encoders import ByModality, EncoderConfig
from sensemble_train.models.kinds.registry import KINDS
from sensemble_train.models.places import SIZES
from sensemble_train.models.transformer import Block
from torch import Tensor, nn
from torch.nn import functional

from tests.train.tiny import CLIP, PLAIN, STEM, VIT, raw_inputs, tiny_model

MODALITIES = ("audio", "text", "video")


@pytest.mark.parametrize(
    "config",
    [
        PLAIN,
        replace(STEM, activation="relu", relative=True),
        replace(STEM, spread=False),
        replace(PLAIN, sizes=SIZES),
        CLIP,
        VIT,
    ],
)
@pytest.mark.parametrize("modality", MODALITIES)
def test_a_batch_gives_unit_embeddings_and_equals_its_rows(modality: str, config: EncoderConfig) -> None:
    encoder = tiny_model(config).encoders[modality]
    raw = raw_inputs(5)[modality]
    embeddings = encoder(raw)
    assert embeddings.shape == (5, config.embedding)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(5))
    alone = torch.cat([encoder(row[None]) for row in raw])
    torch.testing.assert_close(embeddings, alone, atol=1e-5, rtol=0)
    assert (embeddings[0] - embeddings[1]).abs().max() > 1e-4
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder.encode(encoder.front(raw))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.double().norm(dim=1), torch.ones(5).double(), atol=1e-6, rtol=0)


def test_audio_has_the_mean_and_half_the_deviation_that_audio_masked_autoencoders_have() -> None:
    """Table 6's numbers as AST and Audio-MAE take them: less the mean, by twice the deviation."""
    audio = tiny_model().encoders["audio"]
    wave = raw_inputs(3)["audio"]
    expected = (audio.mel(wave) + 4.2677393) / 9.1379948
    front = audio.front(wave)
    assert front.shape == (3, 1, 8, 128)
    torch.testing.assert_close(front[:, 0], expected, atol=1e-5, rtol=0)


def test_a_relative_encoder_hears_a_whisper_as_it_hears_a_shout_and_sees_in_the_dark() -> None:
    model, fixed = tiny_model(replace(STEM, relative=True)), tiny_model(STEM)
    raw = raw_inputs(4)
    raw["video"] = raw["video"] // 2 + 60
    changed = {"audio": 0.02 * raw["audio"], "video": raw["video"] // 2}
    with torch.no_grad():
        for modality, weak in changed.items():
            alike, unlike = (
                (each.encoders[modality](raw[modality]) * each.encoders[modality](weak)).sum(dim=1).min()
                for each in (model, fixed)
            )
            assert alike > 0.999
            assert unlike < alike - 0.001


def test_what_is_trained_on_places_is_what_is_exported() -> None:
    spec = InputSpec("video", "uint8", (1, 2, 48, 32, 3), 2.0, 1.0, 0.5, 2.0)
    encoder = KINDS["frames"].encoder(spec, replace(PLAIN, width=64, sizes=SIZES)).eval()
    pictures = torch.randint(0, 256, (2, *spec.shape[1:]), dtype=torch.uint8)
    exported = torch.export.export(encoder, (pictures[:1],)).module()
    torch.testing.assert_close(encoder(pictures[:1]), exported(pictures[:1]), atol=1e-5, rtol=0)


def test_convolutions_over_all_places_see_a_thing_alike_wherever_it_is_and_however_large() -> None:
    torch.manual_seed(0)
    spec = InputSpec("video", "uint8", (1, 1, 64, 64, 3), 1.0, 1.0, 1.0, 1.0)
    encoder = KINDS["frames"].encoder(spec, replace(PLAIN, width=64, sizes=SIZES)).eval()
    things = 255 * torch.rand(8, 3, 4, 4)

    def seen(row: int, column: int, side: int) -> Tensor:
        pictures = torch.full((8, 1, 64, 64, 3), 128)
        large = functional.interpolate(things, (side, side), mode="bilinear").permute(0, 2, 3, 1)
        pictures[:, 0, row : row + side, column : column + side] = large
        embeddings = encoder(pictures.to(torch.uint8))
        return functional.normalize(embeddings - embeddings.mean(dim=0))

    with torch.no_grad():
        first = seen(16, 16, 16)
        for other in (seen(32, 24, 16), seen(20, 16, 24), seen(8, 32, 20)):
            assert (first * other).sum(dim=1).mean() > 0.45


@settings(max_examples=20)
@given(tokens=st.lists(st.integers(1, 299), min_size=1, max_size=6), seed=st.integers(0, 9))
def test_padding_does_not_change_a_caption(tokens: list[int], seed: int) -> None:
    model = tiny_model(seed=seed)
    text = model.encoders["text"]
    with torch.no_grad():
        padded = text(torch.tensor([tokens + [0] * (6 - len(tokens))]))
        # The same weights for captions of exactly this length, which have nothing to mask.
        text.position = nn.Parameter(text.position[:, : len(tokens)])
        torch.testing.assert_close(text(torch.tensor([tokens])), padded, atol=1e-5, rtol=0)


def test_clips_text_is_read_at_its_largest_id_and_sees_nothing_behind_it() -> None:
    text = tiny_model(CLIP).encoders["text"]
    with torch.no_grad():
        caption = text(torch.tensor([[7, 8, 299, 0, 0, 0]]))
        torch.testing.assert_close(text(torch.tensor([[7, 8, 299, 9, 10, 11]])), caption)
        assert (text(torch.tensor([[7, 9, 299, 0, 0, 0]])) - caption).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["type", "train", "training", "video.rear", "audio"])
def test_a_modality_may_have_any_name(name: str) -> None:
    modules = ByModality({name: nn.Identity()})
    assert list(modules) == list(modules.keys()) == [name]
    assert name in modules
    assert isinstance(modules[name], nn.Identity)


def test_order_matters_in_captions_and_films() -> None:
    model, raw = tiny_model(), raw_inputs(1)
    for modality, swapped in (("text", raw["text"][:, [1, 0, 2, 3, 4, 5]]), ("video", raw["video"].flip(1))):
        encoder = model.encoders[modality]
        assert (encoder(raw[modality]) - encoder(swapped)).abs().max() > 1e-4


def test_stochastic_depth_keeps_the_mean_and_rests_in_evaluation() -> None:
    torch.manual_seed(0)
    block, same = Block(4, 1, "gelu", drop_path=0.25), torch.randn(1, 1, 4).expand(20_000, 1, 4)
    attended = [same[:1], same[:1] + block.attention(block.norm1(same[:1]), None) / 0.75]
    possible = [x + share * block.mlp(block.norm2(x)) for x in attended for share in (0.0, 1 / 0.75)]
    found = block(same)
    distances = torch.stack([(found - x).abs().amax(dim=(1, 2)) for x in possible])
    assert (distances.amin(dim=0) < 1e-5).all()
    shares = distances.argmin(dim=0).bincount(minlength=4) / len(same)
    assert shares.tolist() == pytest.approx([1 / 16, 3 / 16, 3 / 16, 9 / 16], abs=0.02)
    assert (block.eval()(same) - block(same[:1])).abs().max() < 1e-5
