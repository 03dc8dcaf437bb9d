"""Small things to train on: models of a few thousand weights, and a folder of clips written with PyAV."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.model import Description, Model
from sensemble_train.models.tokenizer import train_tokenizer
from torch import Tensor, nn

from tests.sensors.studio import write_media

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 1600), 16000, 0.1, 0.1, 1.0),
    "text": InputSpec("text", "int64", (1, 6), 0, 0.0, 0.0, 1.0),
    "video": InputSpec("video", "uint8", (1, 2, 16, 16, 3), 20.0, 0.1, 0.1, 1.0),
}
PLAIN = EncoderConfig(width=16, depth=2, heads=2, embedding=8, patch=8, vocabulary=300)
CLIP = replace(PLAIN, clip=True, activation="quick_gelu", spread=False)
VIT = replace(PLAIN, embedding=16, spread=False)
MASKED = replace(VIT, project=False, sinusoidal=True)
STEM = EncoderConfig(width=16, depth=1, heads=2, embedding=8, patch=8, vocabulary=300, stem=(4, 8), tubelet=2)


def tiny_model(
    config: EncoderConfig = PLAIN, *, labels: int = 3, multi: bool = False, seed: int = 0
) -> Model:
    """A model of all three modalities, in evaluation mode."""
    torch.manual_seed(seed)
    names = tuple(f"label {i}" for i in range(labels))
    task = "multi-label" if multi else "multi-class"
    description = Description(SPECS, dict.fromkeys(SPECS, config), names, task)
    return Model(description, train_tokenizer(["a word", "another word"], 300)).eval()


def raw_inputs(count: int, seed: int = 0) -> dict[str, Tensor]:
    """Noise in the form that a tiny model's sensors give."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 300, (count, 6), generator=draw)
    tokens[:, 4:] = 0
    return {
        "audio": torch.rand(count, 1600, generator=draw) - 0.5,
        "text": tokens,
        "video": torch.randint(0, 256, (count, 2, 16, 16, 3), dtype=torch.uint8, generator=draw),
    }


def write_clip(path: Path, level: int, hertz: float) -> None:
    """Half a second of four grey frames and a tone."""
    frames = np.broadcast_to(level + 5 * np.arange(4, dtype=np.uint8)[:, None, None], (4, 32, 32))
    wave = 0.275 * np.sin(2 * np.pi * hertz * np.arange(8000) / 16000)[None]
    write_media(path, frames.copy(), wave, video=("ffv1", "gray"), form="gray")


Line = dict[str, object]
ENCODERS = {"audio": "tests.train.tiny:pitch", "video": "tests.train.tiny:own"}
"""Encoders that are lowered in no time, as `--encoder` takes them."""


def write_index(folder: Path, lines: list[Line]) -> Path:
    text = "".join(json.dumps({"id": str(i), **line}) + "\n" for i, line in enumerate(lines))
    (folder / "index.jsonl").write_text(text, encoding="utf-8")
    return folder


def dark_and_bright(folder: Path, *, pretrain: int = 8, train: int = 4, evaluation: int = 4) -> list[Line]:
    """Write clips of two classes; give the lines of their index, of which every fourth lacks a modality."""
    lines: list[Line] = []
    for split, count in (("pretrain", pretrain), ("train", train), ("eval", evaluation)):
        for i in range(count):
            label = ("dark", "bright")[i % 2]
            name = f"{split}{i}.mkv"
            write_clip(folder / name, (30, 200)[i % 2] + i, (300, 1800)[i % 2] + 10 * i)
            media: Line = {"video": name, "audio": name, "text": f"a {label} one"}
            if i % 4 == 3:
                del media[("audio", "text", "video")[(i // 4) % 3]]
            lines.append({"split": split, "labels": [] if split == "pretrain" else [label], **media})
    return lines


class MeanAndDeviation(nn.Module):
    """Somebody's own encoder: the mean and the deviation of a window, and how many windows it has read."""

    read = 0

    def forward(self, raw: Tensor) -> Tensor:
        """Map [B, ...] to [B, 2]."""
        MeanAndDeviation.read += len(raw)
        x = raw.float().flatten(1)
        return torch.stack([x.mean(dim=1), x.std(dim=1)], dim=1)


def own(spec: InputSpec) -> MeanAndDeviation:
    """Make it, as `tests.train.tiny:own` in `--encoder`."""
    assert spec.shape[0] == 1
    return MeanAndDeviation()


class Pitch(nn.Module):
    """How often a sound crosses zero, and how loud it is."""

    def forward(self, raw: Tensor) -> Tensor:
        """Map [B, S] to [B, 2]."""
        crossed = (raw[:, 1:] * raw[:, :-1] < 0).float().mean(dim=1)
        return torch.stack([crossed, raw.std(dim=1)], dim=1)


def pitch(_: object) -> Pitch:
    return Pitch()


class Tone(nn.Module):
    """How near a sound's zero crossings are to those of some tones."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("tones", torch.tensor([300.0, 700.0, 1500.0, 3000.0]) / 8000)

    def forward(self, raw: Tensor) -> Tensor:
        """Map [B, S] to [B, 4]."""
        crossed = (raw[:, 1:] * raw[:, :-1] < 0).float().mean(dim=1, keepdim=True)
        return torch.exp(-((crossed - self.tones) ** 2) / 0.001)


def tone(_: object) -> Tone:
    return Tone()


class Colour(nn.Module):
    """The mean colour of a film."""

    def forward(self, raw: Tensor) -> Tensor:
        """Map [B, T, H, W, C] to [B, C]."""
        return raw.float().mean(dim=(1, 2, 3)) / 255


def colour(_: object) -> Colour:
    return Colour()


class Words(nn.Module):
    """The mean of a random vector of each token."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Embedding(
            512, 16, _weight=torch.randn(512, 16, generator=torch.Generator().manual_seed(0))
        )

    def forward(self, raw: Tensor) -> Tensor:
        """Map [B, L] to [B, 16]."""
        return self.vectors(raw).mean(dim=1)


def words(_: object) -> Words:
    return Words()
