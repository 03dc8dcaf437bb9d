"""Masked autoencoding against a plain computation of its loss, one example and one attention at a time."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_train.data.clips import Clips
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import MAEConfig
from sensemble_train.experiments.mae import MAE, View, pretrain_masked
from sensemble_train.experiments.models import MAE_B16, paper_model, small_masked
from sensemble_train.models.infer_spec import small
from sensemble_train.models.kinds import waveform
from sensemble_train.models.model import Description, Model, load_model, save_model
from sensemble_train.models.transformer import Block, sinusoids
from sensemble_train.training.loop import Loop
from sensemble_train.training.optim import Optimization
from torch import Tensor, nn

from tests.train.tiny import MASKED, SPECS, raw_inputs, tiny_model

SMALL = MAEConfig(width=16, depth=2, heads=2)


def tiny_mae(config: MAEConfig = SMALL) -> MAE:
    whole = tiny_model(MASKED)
    torch.manual_seed(0)
    return MAE(Model(replace(whole.description, shared=1), whole.tokenizer), config)


def features(mae: MAE, count: int) -> Clips:
    inputs = mae.model.front(raw_inputs(count))
    return Clips(inputs, {m: torch.ones(count, dtype=torch.bool) for m in inputs}, None)


def loss_of(mae: MAE, batch: Clips, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    loss = mae(batch)
    assert isinstance(loss, Tensor)
    return loss


def attended(block: nn.Module, x: Tensor) -> Tensor:
    """One transformer block on tokens [N, width] that all see each other."""
    assert isinstance(block, Block)
    attention, normed = block.attention, block.norm1(x)
    q, k, v = attention.qkv(normed).view(len(x), 3, attention.heads, attention.size).unbind(1)
    scores = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(attention.size)
    mixed = torch.einsum("hij,jhd->ihd", scores.softmax(dim=2), v)
    x = x + attention.out(mixed.reshape(len(x), -1))
    return x + block.mlp(block.norm2(x))


def plain_latent(mae: MAE, views: dict[str, View], r: int) -> dict[tuple[str, int], Tensor]:
    """Return the decoder's input for one row's kept tokens; absent ones are left out instead of hidden."""
    seen, places = [], []
    for m, view in views.items():
        there = [i for i in view.kept[r].tolist() if view.exists[r, i]]
        if there:
            own, *_ = mae.encoder(m).trunk.blocks
            seen.append(attended(own, view.tokens[r, there]))
            places += [(m, i) for i in there]
    if not places:
        return {}
    trunk = mae.encoder("audio").trunk
    return dict(zip(places, mae.narrow(trunk.norm(attended(trunk.blocks[1], torch.cat(seen)))), strict=True))


def plain_loss(mae: MAE, views: dict[str, View]) -> Tensor:
    """The loss of given masks: a mean over modalities of means over masked tokens that exist."""
    losses: dict[str, list[Tensor]] = {m: [] for m in views}
    for r in range(len(views["text"].exists)):
        latent = plain_latent(mae, views, r)
        there = [(m, i) for m, view in views.items() for i in view.exists[r].nonzero().flatten().tolist()]
        x = torch.stack([latent.get(place, mae.mask) + position(mae, *place) for place in there])
        for block in mae.blocks:
            x = attended(block, x)
        for (m, i), answer in zip(there, mae.norm(x), strict=True):
            predicted, target = mae.ends[m].predict(answer), views[m].targets[r, i]  # type: ignore[operator]
            if (m, i) not in latent:
                guess = -predicted.log_softmax(dim=0)[target] / math.log(300) if m == "text" else None
                losses[m].append((predicted - target).square().mean() if guess is None else guess)
    return torch.stack([torch.stack(each).mean() for each in losses.values() if each]).mean()


def position(mae: MAE, modality: str, place: int) -> Tensor:
    ends, grid = mae.ends[modality], mae.encoder(modality).grid
    if modality != "video":
        return sinusoids(grid, 16)[place] + ends.name  # type: ignore[operator, no-any-return]
    time, space = divmod(place, grid[1] * grid[2])
    return sinusoids(grid[:1], 16)[time] + sinusoids(grid[1:], 16)[space] + ends.name  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("lacking", [False, True], ids=["whole", "lacking"])
def test_the_loss_is_that_of_a_plain_computation(*, lacking: bool) -> None:
    mae = tiny_mae().eval()
    batch = features(mae, 3)
    if lacking:
        batch.present["audio"][1] = batch.present["text"][0] = False
        batch.present["video"][:] = False
    torch.manual_seed(0)
    views = {m: mae.view(m, batch) for m in mae.model.modalities}
    torch.testing.assert_close(loss_of(mae, batch), plain_loss(mae, views))


def test_guessing_costs_one_and_every_weight_learns() -> None:
    mae = tiny_mae()
    loss = loss_of(mae, features(mae, 8))
    loss.backward()
    assert loss.item() == pytest.approx(1.1, abs=0.3)
    learning = {n: p for n, p in mae.named_parameters() if p.requires_grad}
    assert all(p.grad is not None and p.grad.any() for p in learning.values())
    assert not any("head" in name or "position" in name for name in learning), "learned: space and time alone"


def test_masks_follow_the_seed_and_repeats_are_other_masks() -> None:
    mae = tiny_mae()
    batch = features(mae, 2)
    assert loss_of(mae, batch, 1).item() == loss_of(mae, batch, 1).item() != loss_of(mae, batch, 2).item()
    view = mae.view("video", batch)
    assert torch.equal(view.targets[:2], view.targets[2:])
    assert not torch.equal(view.kept[:2], view.kept[2:])
    both = torch.cat([view.kept, view.masked], dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(both.shape[1]).expand_as(both))


def test_the_shares_of_the_paper_are_masked() -> None:
    """App. E: 80 % of 50 x 8 patches of sound, 90 % of 8 x 14 x 14 of video; 75 % of 60 words."""
    with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(waveform, "LogMel", nn.Identity)
        mae = MAE(Model(paper_model(MAE_B16, ("a", "b")), None), MAEConfig(depth=1))
    assert {m: mae.kept(m) for m in mae.model.modalities} == {"audio": 80, "text": 15, "video": 157}


def test_fixed_positions_are_sines_and_cosines_of_each_axis() -> None:
    """Position p has sin and cos of p / 10000^(2i/d) (Vaswani et al., 2017), half of the width an axis."""
    table = sinusoids((3, 5), 8).view(3, 5, 8)
    for row, column, i in itertools.product(range(3), range(5), range(2)):
        angles = [place / 10_000 ** (i / 2) for place in (row, column)]
        expected = [f(angle) for angle in angles for f in (math.sin, math.cos)]
        assert table[row, column, i::2].tolist() == pytest.approx(expected, abs=1e-6)


def test_the_target_of_a_token_is_the_patch_that_it_was_made_of() -> None:
    mae = tiny_mae()
    batch = features(mae, 1)
    images = mae.encoder("video").input(batch.inputs["video"])  # type: ignore[operator]
    expected = nn.functional.unfold(images, 8, stride=8).transpose(1, 2).reshape(1, -1, 3 * 64)
    expected = nn.functional.layer_norm(expected, expected.shape[2:], eps=1e-6)
    torch.testing.assert_close(mae.view("video", batch).targets[:1], expected)


@pytest.mark.real
def test_reconstruction_falls_and_the_encoders_are_a_model_with_one_shared_block(tmp_path: Path) -> None:
    """Films, tones and words are of two kinds, so that modalities can help each other."""
    torch.manual_seed(0)
    kind = torch.arange(64) % 2
    pitch = torch.where(kind == 0, 300.0, 1800.0)[:, None] + 100 * torch.rand(64, 1)
    film = torch.where(kind == 0, 40, 200).view(-1, 1, 1, 1, 1) + torch.randint(0, 20, (64, 2, 16, 16, 3))
    film[:, :, :, ::2] += 30
    raw = {
        "audio": 0.3 * torch.sin(6.283 * pitch * torch.arange(1600) / 16000),
        "text": torch.where(kind == 0, 5, 50)[:, None] + torch.arange(6),
        "video": film.to(torch.uint8),
    }
    configs = {m: replace(c, patch=8, vocabulary=300) for m, c in small_masked(SPECS).items()}
    model = Model(Description(SPECS, configs, ("a", "b"), "multi-class", 1), tiny_model().tokenizer).eval()
    batch = Clips(model.front(raw), {m: torch.ones(64, dtype=torch.bool) for m in raw}, None)
    batch.present["audio"][::3] = False
    settings = Optimization(steps=40, batch=64, learning_rate=1e-3)
    decoder = MAEConfig(width=64, depth=2, heads=4)
    trained = pretrain_masked(model, batch, settings, decoder, Loop(tmp_path / "loop", 0))
    before, after = (loss_of(MAE(each, decoder), batch).item() for each in (model, trained))
    assert after < before + 0.1, "a new decoder knows nothing"
    lines = (tmp_path / "loop" / "steps.jsonl").read_text().splitlines()
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in lines]
    assert sum(losses[-5:]) / 5 < 0.6 * losses[0]
    for m, x in batch.inputs.items():
        there = x[batch.present[m]]
        apart = [each.embed({m: there})[m].mean(dim=0).norm().item() for each in (model, trained)]
        assert apart[1] < apart[0] / 4, "the BatchNorm's statistics centre the embeddings"
    save_model(trained, tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert torch.equal(again(raw), trained(raw))
    assert again.encoders["text"].trunk.blocks[-1] is again.encoders["audio"].trunk.blocks[-1]  # type: ignore[index, union-attr]
    assert again.encoders["text"].trunk.blocks[0] is not again.encoders["audio"].trunk.blocks[0]  # type: ignore[index, union-attr]


def test_encoders_that_cannot_be_masked_or_share_nothing_are_refused() -> None:
    whole = tiny_model(MASKED).description
    stem = {m: replace(c, stem=(4,)) for m, c in whole.configs.items()}
    clip = {m: replace(c, clip=True) for m, c in whole.configs.items()}
    imu = InputSpec("imu", "float32", (1, 20, 1), 10, 2.0, 1.0, 4.0, "series", (Channel("co2"),))
    series = Description({"imu": imu}, small({"imu": imu}), ("a", "b"), "multi-class", shared=1)
    stems, clips = (replace(whole, configs=c, shared=1) for c in (stem, clip))
    for wrong in (whole, stems, clips, series):
        with pytest.raises(ConfigurationError, match="--objective mae"):
            MAE(Model(wrong, None), SMALL)
    odd = {**whole.configs, "text": replace(MASKED, activation="relu")}
    for wrong in (replace(whole, configs=odd, shared=1), replace(whole, shared=3)):
        with pytest.raises(ConfigurationError, match=r"--model\.shared"):
            Model(wrong, None)
