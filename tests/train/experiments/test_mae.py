"""Masked autoencoding: what is seen and what is asked for, that reconstruction falls, and Table 5."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_train.data.clips import Clips
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.architectures import CLIP_B16, MAE_B16, VIT_B16, paper_model, small_mae
from sensemble_train.experiments.config import ExperimentPretrain, MAEConfig
from sensemble_train.experiments.mae import MAE, _targets, pretrain_masked
from sensemble_train.models.kinds import waveform
from sensemble_train.models.model import Description, Model, load_model, save_model
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization
from sensemble_train.training.scale import ScaleConfig
from torch import Tensor, nn

from tests.losses import read_losses
from tests.train.tiny import MASKED, SPECS, raw_inputs, tiny_model

SMALL = MAEConfig(width=16, depth=1, heads=2)


def tiny_mae(config: MAEConfig = SMALL, seed: int = 0) -> MAE:
    torch.manual_seed(seed)
    whole = tiny_model(MASKED)
    return MAE(Model(replace(whole.description, shared=1), whole.tokenizer), config)


def features(mae: MAE, count: int, seed: int = 0) -> Clips:
    raw = raw_inputs(count, seed)
    inputs = mae.model.front({m: raw[m] for m in mae.model.modalities})
    return Clips(inputs, {m: torch.ones(count, dtype=torch.bool) for m in inputs}, None)


def loss_of(mae: MAE, batch: Clips, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    loss = mae(batch)
    assert isinstance(loss, Tensor)
    return loss


def test_guessing_costs_one_and_every_weight_learns() -> None:
    mae = tiny_mae()
    loss = loss_of(mae, features(mae, 8))
    loss.backward()
    assert loss.item() == pytest.approx(1.1, abs=0.3)
    for name, parameter in mae.named_parameters():
        if parameter.requires_grad and "head" not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_the_seed_of_torch_decides_the_masks() -> None:
    mae = tiny_mae()
    batch = features(mae, 4)
    assert loss_of(mae, batch, 1).item() == loss_of(mae, batch, 1).item()
    assert loss_of(mae, batch, 1).item() != loss_of(mae, batch, 2).item()


def test_repeats_are_other_masks_of_the_same_examples() -> None:
    batch = features(tiny_mae(), 2)
    losses = {n: loss_of(tiny_mae(replace(SMALL, repeats=n)), batch).item() for n in (1, 2)}
    doubled = Clips(
        {m: x.repeat(2, *[1] * (x.dim() - 1)) for m, x in batch.inputs.items()},
        {m: p.repeat(2) for m, p in batch.present.items()},
        None,
    )
    assert loss_of(tiny_mae(replace(SMALL, repeats=1)), doubled).item() == pytest.approx(losses[2], abs=1e-6)
    assert losses[1] != losses[2]


def test_what_an_example_lacks_is_neither_seen_nor_asked_for() -> None:
    mae = tiny_mae()
    batch = features(mae, 3)
    batch.present["audio"][1] = False
    batch.present["video"][:] = False
    first = loss_of(mae, batch).item()
    batch.inputs["audio"][1] = 9.0
    batch.inputs["video"][:] = 99
    assert loss_of(mae, batch).item() == first
    batch.inputs["audio"][0] = 9.0
    assert loss_of(mae, batch).item() != first


def test_padding_is_neither_seen_nor_asked_for() -> None:
    mae = tiny_mae()
    batch = features(mae, 3)
    first = loss_of(mae, batch).item()
    with torch.no_grad():
        mae.model.encoders["text"].token.weight[0] += 1.0
        mae.predict["text"].bias[0] = -1e4  # what padding would cost, were it asked for
    assert loss_of(mae, batch).item() == pytest.approx(first, abs=0.01)


def test_a_batch_without_anything_costs_nothing_and_has_gradients() -> None:
    mae = tiny_mae()
    batch = features(mae, 2)
    nothing = Clips(batch.inputs, {m: torch.zeros(2, dtype=torch.bool) for m in batch.inputs}, None)
    loss = loss_of(mae, nothing)
    loss.backward()
    assert loss.item() == 0
    grads = [p.grad for n, p in mae.named_parameters() if p.requires_grad and "head" not in n]
    assert all(g is not None and g.isfinite().all() for g in grads)


def test_whole_batches_cost_the_same_without_a_mask_of_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sound and frames have no padding, so that attention can take its fast path; captions have."""
    masks: list[Tensor | None] = []
    attend = nn.functional.scaled_dot_product_attention

    def watched(*qkv: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        masks.append(attn_mask)
        return attend(*qkv, attn_mask=attn_mask)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", watched)
    whole = tiny_model(MASKED).description
    for names in (("audio", "video"), ("audio", "text", "video")):
        specs, configs = ({m: of[m] for m in names} for of in (whole.specs, whole.configs))
        model = Model(replace(whole, specs=specs, configs=configs, shared=1), None)
        mae = MAE(model, SMALL)
        clips = features(mae, 4)
        masked = loss_of(mae, clips)
        masks.clear()
        torch.testing.assert_close(loss_of(mae, clips.to(torch.device("cpu"))), masked)
        hidden = [mask is not None for mask in masks]
        # Each modality's own block, then the shared one and the decoder's over all.
        assert hidden == [m == "text" for m in names] + ["text" in names] * 2


def test_shares_are_those_asked_for() -> None:
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(waveform, "LogMel", nn.Identity)
        mae = MAE(Model(paper_model(MAE_B16, ("a", "b")), None), MAEConfig(depth=1))
    assert {m: mae._kept(m) for m in mae.model.modalities} == {"audio": 80, "text": 15, "video": 157}


def test_only_what_is_masked_is_asked_for() -> None:
    """The loss reads the decoder only at masked positions."""
    mae = tiny_mae()
    read, answered = [], []
    with torch.no_grad():
        mae.mask.fill_(5.0)  # what no token seen is
    mae.embed.register_forward_hook(lambda _module, _inputs, output: output.detach().zero_())
    mae.blocks[0].register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0].detach()))
    mae.norm.register_forward_hook(lambda _module, _inputs, output: answered.append(output))
    batch = features(mae, 4)
    loss = loss_of(mae, batch)
    (answers,) = answered
    (gradient,) = torch.autograd.grad(loss, answers)
    there = torch.cat([mae._there(m, batch).repeat(2, 1) for m in mae.model.modalities], dim=1).bool()
    masked = (read[0].mean(dim=2) > 2.5) & there
    assert masked.any()
    assert not masked[there].all()
    assert torch.equal(gradient.any(dim=2), masked)


def test_the_decoder_answers_each_place_of_its_own() -> None:
    """All that is masked of a modality is the same but for where it is."""
    mae = tiny_mae()
    answered = []
    mae.norm.register_forward_hook(lambda _module, _inputs, output: answered.append(output.detach()))
    batch = features(mae, 4)
    loss_of(mae, batch)
    counts = [mae._there(m, batch).shape[1] for m in mae.model.modalities]
    for answers in answered[0].split(counts, dim=1):
        apart = torch.cdist(answers, answers) + 1e9 * torch.eye(answers.shape[1])
        assert apart.min() > 1e-3


def test_the_shared_block_sees_all_modalities_at_once() -> None:
    mae = tiny_mae()
    latents = []
    mae.embed.register_forward_pre_hook(lambda _module, inputs: latents.append(inputs[0].detach()))
    batch = features(mae, 4)
    loss_of(mae, batch)
    batch.inputs["video"] = 255 - batch.inputs["video"]
    loss_of(mae, batch)
    before, after = (
        latent.split([mae._kept(m) for m in mae.model.modalities], dim=1)[:2] for latent in latents
    )
    for other, moved in zip(before, after, strict=True):  # audio's and text's
        assert (other - moved).abs().amax(dim=2).min() > 1e-5


def test_patches_are_reconstructed_where_they_are() -> None:
    """The target of token i is what the encoder's token i was made of."""
    mae = tiny_mae()
    batch = features(mae, 2)
    for m in ("audio", "video"):
        encoder = mae._encoder(m)
        before, target = encoder.tokens(batch.inputs[m]), _targets(encoder, batch.inputs[m])
        changed = batch.inputs[m].clone()
        place = (0, 0, slice(0, 8), slice(8, 16)) if m == "audio" else (0, 1, slice(8, 16), slice(0, 8))
        changed[place] = changed[place].flip(0) + 1
        after = Clips({**batch.inputs, m: changed}, batch.present, None)
        moved = (encoder.tokens(changed) != before).any(dim=2)
        assert moved.sum() == 1
        assert torch.equal((_targets(encoder, after.inputs[m]) != target).any(dim=2), moved)
        assert target.mean(dim=2).abs().max() < 1e-5


def test_reconstruction_falls_and_the_encoders_are_a_model(tmp_path: Path) -> None:
    """On films, tones and words of two kinds; a mask as in the paper, so modalities must help each other."""
    torch.manual_seed(0)
    count = 64
    kind = torch.arange(count) % 2
    time = torch.arange(1600) / 16000
    pitch = torch.where(kind == 0, 300.0, 1800.0)[:, None] + 100 * torch.rand(count, 1)
    film = torch.where(kind == 0, 40, 200).view(-1, 1, 1, 1, 1) + torch.randint(0, 20, (count, 2, 16, 16, 3))
    film[:, :, :, ::2] += 30
    raw = {
        "audio": 0.3 * torch.sin(6.283 * pitch * time),
        "text": torch.where(kind == 0, 5, 50)[:, None] + torch.tensor([0, 1, 2, 3, 4, 5]),
        "video": film.to(torch.uint8),
    }
    configs = {m: replace(c, patch=8, vocabulary=300) for m, c in small_mae(SPECS).items()}
    model = Model(Description(SPECS, configs, ("a", "b"), "multi-class", shared=1), tiny_model().tokenizer)
    mae = MAE(model, MAEConfig(width=64, depth=2, heads=4))
    inputs = {m: model.encoders[m].front(x) for m, x in raw.items()}
    batch = Clips(inputs, {m: torch.ones(count, dtype=torch.bool) for m in raw}, None)
    optimizer = torch.optim.AdamW(mae.parameters(), 1e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = mae(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(1.1, abs=0.3)
    assert sum(losses[-5:]) / 5 < 0.6 * losses[0]
    save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model")
    for m, x in raw.items():
        embeddings = again.encoders[m](x[:4])
        assert embeddings.shape == (4, 128)
        torch.testing.assert_close(embeddings, model.eval().encoders[m](x[:4]))


def test_embeddings_are_centred_when_pretraining_ends(tmp_path: Path) -> None:
    whole = tiny_model(replace(MASKED, spread=True))
    model = Model(replace(whole.description, shared=1), whole.tokenizer).eval()
    batch = features(tiny_mae(), 40)
    batch.present["audio"][::3] = False
    batch.inputs["audio"][::3] = 9.0  # which no statistic should see
    config = ExperimentPretrain(objective="mae", mae=SMALL, steps=2, batch=8)
    trained = pretrain_masked(model, batch, config, Loop(tmp_path, 0))
    for m, x in batch.inputs.items():
        there = x[batch.present[m]]
        means = [
            each.encoders[m].encode(there).mean(dim=0).norm().item()  # type: ignore[operator]
            for each in (model, trained)
        ]
        assert means[0] > 0.7
        assert means[1] < 0.2


def test_an_interrupted_run_goes_on_with_the_same_masks(tmp_path: Path) -> None:
    settings = Optimization(steps=5, batch=4, learning_rate=1e-2)

    def losses(name: str, stop: int = -1) -> list[float]:
        def progress(done: int, _steps: int) -> None:
            if done == stop:
                raise KeyboardInterrupt

        mae = tiny_mae()
        loop = Loop(tmp_path / name, 0, ScaleConfig(save_every=2), progress=progress)
        trained = fit(mae, [features(mae, 12)], settings, loop)
        trunks = [encoder.trunk for encoder in trained.encoders.values()]
        assert all(trunk.blocks[-1] is trunks[0].blocks[-1] for trunk in trunks)
        return read_losses(tmp_path / name)

    with pytest.raises(KeyboardInterrupt):
        losses("interrupted", stop=3)
    assert losses("interrupted") == losses("whole")


def test_encoders_that_cannot_be_masked_are_refused() -> None:
    whole = tiny_model(MASKED).description
    stem = {m: replace(c, stem=(4,)) for m, c in whole.configs.items()}
    clip = {m: replace(c, clip=True) for m, c in whole.configs.items()}
    for wrong in (whole, replace(whole, configs=stem, shared=1), replace(whole, configs=clip, shared=1)):
        with pytest.raises(ConfigurationError, match="MAE takes"):
            MAE(Model(wrong, None), SMALL)


AV, AVT = ("audio", "video"), ("audio", "text", "video")


@pytest.mark.parametrize(
    ("shape", "modalities", "millions"),
    [
        (MAE_B16, AV, 191),
        (VIT_B16, AV, 173),
        (CLIP_B16, AV, 172),
        (MAE_B16, AVT, 334),
        (VIT_B16, AVT, 297),
        (CLIP_B16, AVT, 236),
    ],
)
def test_the_presets_have_table_5s_parameters(
    shape: ModelConfig, modalities: tuple[str, ...], millions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waveform, "LogMel", nn.Identity)  # has no parameters, and needs real numbers
    with torch.device("meta"):
        model = Model(paper_model(shape, ("a", "b"), modalities), None)
        pretrained = MAE(model, MAEConfig()) if shape is MAE_B16 else model
    count = sum(p.numel() for name, p in pretrained.named_parameters() if "head." not in name)
    assert count / 1e6 == pytest.approx(millions, rel=0.01)
    assert round(count / 1e6) == millions
