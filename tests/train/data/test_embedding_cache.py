"""Embeddings of a frozen encoder: views of each window, computed once for all who ask."""

import os
from pathlib import Path

import pytest
import torch
from sensemble_runtime.progress import no_progress
from sensemble_sensors.durable import PRIVATE_FILE
from sensemble_train import user_cache
from sensemble_train.data.embedding_cache import embedded, fingerprint
from sensemble_train.models.augment_config import DERIVED, AugmentConfig
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.pretrained.encoder import Pretrained
from torch import Tensor, nn

from tests.train.tiny import SPECS, MeanAndDeviation, raw_inputs


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretrained:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Pretrained(SPECS["audio"], EncoderConfig(8, 1, 1, 4, source="tests.train.tiny:own"))


def embed(encoder: Pretrained, windows: Tensor, config: AugmentConfig = DERIVED, views: int = 3) -> Tensor:
    return embedded(encoder, windows, views, config, None, no_progress)


def test_the_first_view_is_the_window_and_the_others_are_changed(encoder: Pretrained) -> None:
    windows = raw_inputs(5)["audio"]
    found = embed(encoder, windows)
    assert found.shape == (5, 3, 2)
    torch.testing.assert_close(found[:, 0], encoder.pretrained(windows))
    assert (found[:, 1] != found[:, 0]).any(dim=1).all()
    assert (found[:, 2] != found[:, 1]).any(dim=1).all()


def test_a_window_is_read_once_and_its_views_depend_on_it_alone(encoder: Pretrained) -> None:
    windows = raw_inputs(40)["audio"]
    state, first = torch.get_rng_state(), embed(encoder, windows)
    assert torch.equal(torch.get_rng_state(), state), "training's own draws stay as they are"
    before = MeanAndDeviation.read
    assert torch.equal(embed(encoder, windows[torch.arange(39, -1, -1)]).flip(0), first)
    more = torch.cat([windows[7:9], raw_inputs(3, seed=1)["audio"]])
    assert torch.equal(embed(encoder, more)[:2], first[7:9])
    assert MeanAndDeviation.read - before == 2 + 3 * 3, "a look at the encoder twice, and the three new ones"


def test_other_changes_and_another_encoder_are_computed_anew(encoder: Pretrained) -> None:
    windows = raw_inputs(4)["audio"]
    first = embed(encoder, windows)
    assert not torch.equal(embed(encoder, windows, AugmentConfig(noise=1.0)), first)
    assert embed(encoder, windows, views=1).shape == (4, 1, 2)
    video = Pretrained(SPECS["video"], EncoderConfig(8, 1, 1, 4, source="tests.train.tiny:own"))
    before = MeanAndDeviation.read
    embed(video, raw_inputs(4)["video"])
    assert MeanAndDeviation.read - before == 1 + 4 * 3


def test_what_is_kept_is_private_and_may_be_damaged(encoder: Pretrained, tmp_path: Path) -> None:
    windows = raw_inputs(4)["audio"]
    first = embed(encoder, windows)
    (path,) = tmp_path.rglob("*.safetensors")
    assert path.stat().st_mode & 0o777 == PRIVATE_FILE, "one could tell from them who spoke"
    path.write_bytes(path.read_bytes()[:50])
    assert torch.equal(embed(encoder, windows), first)
    before = MeanAndDeviation.read
    embed(encoder, windows)
    assert MeanAndDeviation.read - before == 1, "the damaged file was replaced"


def test_the_least_used_goes(encoder: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    takes = raw_inputs(3)["audio"]
    for number, take in enumerate(takes):
        embed(encoder, take[None])
        for path in tmp_path.rglob("*.safetensors"):
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 100 + number))
    embed(encoder, takes[:1])  # used again
    size = max(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    monkeypatch.setattr(user_cache, "MOST", 2 * size + 10)
    embed(encoder, raw_inputs(1, seed=1)["audio"])
    before = MeanAndDeviation.read
    embed(encoder, takes[:1])
    assert MeanAndDeviation.read - before == 1, "only the look at the encoder"
    embed(encoder, takes[1:2])
    assert MeanAndDeviation.read - before == 2 + 3
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_where_nothing_can_be_kept_embeddings_are_made(encoder: Pretrained, tmp_path: Path) -> None:
    (tmp_path / "sensemble").write_text("no folder")
    assert embed(encoder, raw_inputs(4)["audio"]).shape == (4, 3, 2)


def test_encoders_that_differ_in_what_they_compute_alone_are_told_apart() -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x.mean(dim=1), x.mean(dim=1) + 1], dim=1)

    found = fingerprint(Mean(), torch.zeros(1, 1600))
    Mean.forward = lambda _, x: torch.stack([x[:, 800], x[:, 800] + 1], dim=1)  # type: ignore[method-assign]
    assert fingerprint(Mean(), torch.zeros(1, 1600)) != found, "a constant input would not tell"
