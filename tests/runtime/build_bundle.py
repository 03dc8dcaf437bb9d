"""Writes a small, complete bundle (three tiny untrained encoders) and what torch computes for it.

Run as a module, in a separate process: it imports torch and ExecuTorch's exporter, which the runtime never
does. `python -m tests.runtime.build_bundle FOLDER` leaves `FOLDER/bundle/` and `FOLDER/reference.npz`, which
holds for each modality the windows (`<modality>.windows`), the float encoder's embeddings (`.float`) and the
lowered one's (`.lowered`, quantized where the artifact is). `FOLDER/slow/encoder.pte` takes a good part of a
second, `FOLDER/big/encoder.pte` takes long to load, and `FOLDER/nan/encoder.pte`, for audio, gives NaN.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sensemble_export.lowering import to_executorch
from sensemble_runtime.bundle.head import Head, save_head
from sensemble_runtime.bundle.manifest import Artifact, Calibration, ModalityCalibration, ModalityEntry
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.scores import SubsetScore
from sensemble_sensors.spec import InputSpec
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn

from tests.runtime.manifests import UNMEASURED, entry

D = 8
LABELS = ("zero", "one", "two")
WORDS = ("[PAD]", "[UNK]", "a", "one", "person", "says", "two", "zero")
SPECS = {
    "audio": InputSpec("audio", "float32", (1, 1600), rate=16000, window=0.1, hop=0.05, ttl=1.0),
    "text": InputSpec("text", "int64", (1, 6), rate=0, window=0, hop=0, ttl=2.0),
    "video": InputSpec("video", "uint8", (1, 2, 8, 8, 3), rate=10, window=0.2, hop=0.1, ttl=1.0),
}
QUANTIZED = ("audio",)


class Audio(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frames = nn.Linear(100, 32)
        self.out = nn.Linear(32, D)

    def forward(self, wave: Tensor) -> Tensor:
        return self.out(torch.relu(self.frames(wave.reshape(1, 16, 100))).mean(dim=1))


class Text(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(len(WORDS), 16)
        self.out = nn.Linear(16, D)

    def forward(self, ids: Tensor) -> Tensor:
        mask = (ids != 0).to(torch.float32).unsqueeze(-1)
        return self.out((self.table(ids) * mask).sum(dim=1) / (mask.sum(dim=1) + 1e-6))


class Video(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.out = nn.Linear(32, D)

    def forward(self, frames: Tensor) -> Tensor:
        images = (frames.to(torch.float32) / 255).reshape(2, 8, 8, 3).permute(0, 3, 1, 2)
        return self.out(torch.relu(self.stem(images)).reshape(2, 32)).mean(dim=0, keepdim=True)


class Slow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(256, 256) for _ in range(12)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.reshape(30_000, 256)).mean(dim=0, keepdim=True)


class Big(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(2048, 2048) for _ in range(6)))  # 100 MB

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def windows(modality: str, count: int) -> Tensor:
    shape = (count, *SPECS[modality].shape)
    if modality == "audio":
        return torch.rand(shape) * 2 - 1
    return torch.randint(
        0, len(WORDS) if modality == "text" else 256, shape, dtype=getattr(torch, SPECS[modality].dtype)
    )


def lower(encoder: nn.Module, inputs: Tensor, path: Path, *, quantize: bool) -> nn.Module:
    program = to_executorch.quantize(encoder, inputs.flatten(0, 1), "int8-static") if quantize else encoder
    path.parent.mkdir(parents=True)
    path.write_bytes(to_executorch.lower(program, inputs[0]).files[""])
    return program


def main(out: Path) -> None:
    torch.manual_seed(0)
    folder = out / "bundle"
    modalities = {}
    reference = {}
    for modality, encoder in {"audio": Audio(), "text": Text(), "video": Video()}.items():
        encoder.eval()
        inputs = windows(modality, 16)
        path = f"{modality}/encoder.pte"
        program = lower(encoder, inputs, folder / path, quantize=modality in QUANTIZED)
        with torch.no_grad():
            for name, module in (("float", encoder), ("lowered", program)):
                reference[f"{modality}.{name}"] = np.concatenate(
                    [module(window).numpy() for window in inputs]
                )
        reference[f"{modality}.windows"] = inputs.numpy()
        file = entry(folder, path)
        scheme = "int8-static" if modality in QUANTIZED else "fp32"
        artifact = Artifact(file.path, (file,), scheme, None, None, None)
        modalities[modality] = ModalityEntry(SPECS[modality], {"executorch-xnnpack": artifact})
    np.savez(out / "reference.npz", **reference)
    lower(Slow().eval(), torch.zeros(1, 1, 30_000 * 256), out / "slow" / "encoder.pte", quantize=False)
    lower(Big().eval(), torch.zeros(1, 1, 2048), out / "big" / "encoder.pte", quantize=False)
    broken = Audio().eval()
    nn.init.constant_(broken.out.bias, torch.nan)
    lower(broken, windows("audio", 1), out / "nan" / "encoder.pte", quantize=False)

    generator = np.random.default_rng(0)
    weight = generator.standard_normal((len(LABELS), D), dtype=np.float32)
    save_head(Head(weight, np.zeros(len(LABELS), np.float32), "multi-class"), folder / "head.safetensors")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    fitted = {m: ModalityCalibration(1 + i / 4, i / 8, 100, 100) for i, m in enumerate(sorted(SPECS))}
    manifest = replace(
        UNMEASURED,
        modalities=modalities,
        labels=LABELS,
        head=entry(folder, "head.safetensors"),
        tokenizer=entry(folder, "tokenizer.json"),
        calibration=Calibration(0.05, 0.6, 100, 0.5, fitted, {}),
        audited={"audio+video": SubsetScore(0.75, 8, 0.41, 0.93)},
    )
    write_manifest(manifest, folder / "manifest.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
