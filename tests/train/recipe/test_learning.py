"""The paper's claim from end to end, on scenes that a tiny model learns within seconds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_runtime.auditing.robustness import summary
from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.recipe.evaluate import embed, evaluate
from sensemble_train.recipe.methods import (
    FinetuneConfig,
    PretrainConfig,
    ProbeConfig,
    Start,
    distill_subsets,
    finetune,
    linear_probe,
    masd,
    pretrain,
)
from sensemble_train.training.loop import Loop
from torch import Tensor

from tests.train.tiny import STEM, tiny_model

pytestmark = pytest.mark.real

KINDS, PEOPLE = 4, 6
TUNING = FinetuneConfig(steps=40, batch=32, warmup=4, learning_rate=1e-3)


def scenes(model: Model, count: int, seed: int) -> Clips:
    """Draw what four kinds of scene, by six people, look and sound like: a corner, a pitch, a word."""
    draw = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=draw)

    kind = torch.randint(0, KINDS, (count,), generator=draw)
    person = torch.randint(0, PEOPLE, (count,), generator=draw)
    time = 2 * torch.pi * torch.arange(1600) / 16000
    pitch, hum = 250 * 2.0**kind, 90 + 35 * person
    sound = 0.1 * torch.sin(pitch[:, None] * time) + 0.3 * torch.sin(hum[:, None] * time) + 0.1 * noise(1600)
    corner = torch.nn.functional.one_hot(kind, KINDS).view(count, 1, 2, 2, 1)
    corner = corner.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    film = 60 + 20 * person.view(-1, 1, 1, 1, 1) + 80 * corner + 25 * noise(2, 16, 16, 3)
    words = torch.stack([10 + kind, 20 + person, torch.randint(30, 35, (count,), generator=draw)], dim=1)
    words = words.gather(1, noise(3).argsort(dim=1))
    raw = {
        "audio": sound,
        "text": torch.nn.functional.pad(words, (0, 3)),
        "video": film.clamp(0, 255).to(torch.uint8),
    }
    present = {m: torch.ones(count, dtype=torch.bool) for m in raw}
    return Clips(model.front(raw), present, kind)


def test_each_method_beats_the_one_before_and_what_was_never_trained_on_beats_chance(tmp_path: Path) -> None:
    begun = tiny_model(replace(STEM, embedding=16), labels=KINDS)
    unlabelled, labelled, held_out = (scenes(begun, n, seed) for seed, n in enumerate((256, 64, 200)))
    contrastive = PretrainConfig(steps=60, batch=64, warmup=6, learning_rate=3e-3)
    pretrained = pretrain(begun, unlabelled, contrastive, Loop(tmp_path / "pretrained", 0))
    embedded = embed(labelled, Loop(tmp_path, 0), pretrained)[0]
    torch.manual_seed(0)
    rows: dict[str, dict[str, dict[str, float]]] = {"probe": {}, "finetune": {}, "masd": {}, "subset": {}}
    for m in ("audio", "text"):
        probed = linear_probe(pretrained, embedded, (m,), ProbeConfig())
        made = {"probe": probed}
        starts = {
            method: Start(probed, labelled, (m,), TUNING, Loop(tmp_path / method / m, 0))
            for method in ("finetune", "masd", "subset")
        }
        made["finetune"] = finetune(starts["finetune"])
        made["masd"] = teacher = masd(starts["masd"], unlabelled)
        made["subset"] = distill_subsets(starts["subset"], unlabelled, teacher)
        for method, clips in zip(made, embed(held_out, Loop(tmp_path, 0), *made.values()), strict=True):
            rows[method][m] = evaluate(made[method], clips)
    found = {method: summary(matrix) for method, matrix in rows.items()}
    assert found["masd"].p > found["finetune"].p + 0.05
    assert found["finetune"].p > found["probe"].p + 0.05
    assert found["subset"].p > found["masd"].p
    assert found["subset"].r > found["masd"].r
    transfer = {method: of.transfer.p for method, of in found.items()}
    assert transfer["finetune"] is not None
    assert transfer["masd"] is not None
    assert transfer["finetune"] > 1.5 / KINDS
    assert transfer["masd"] > transfer["finetune"] + 0.05
