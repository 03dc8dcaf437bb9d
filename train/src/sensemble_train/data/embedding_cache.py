"""Embeddings of windows and their augmented views by frozen encoders, kept by content in a private cache."""

import hashlib
import zlib
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from sensemble_runtime.progress import Progress
from sensemble_sensors import durable
from tokenizers import Tokenizer
from torch import Tensor, nn

from sensemble_train import user_cache
from sensemble_train.data.batching import at_once
from sensemble_train.half import half
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.kinds.registry import kind_of
from sensemble_train.models.pretrained.encoder import Pretrained

VIEWS = 2  # of an example to train on, the unchanged window included
_KEPT = 512  # embeddings of windows in a file
_CACHE = "embeddings"


@torch.no_grad()
def embedded(
    encoder: Pretrained,
    windows: Tensor,
    views: int,
    config: AugmentConfig,
    tokenizer: Tokenizer | None,
    progress: Progress,
) -> Tensor:
    """Return features float32 [N, views, F] of raw windows [N, ...]: unchanged, then augmented."""
    changes = repr((views, asdict(config) if views > 1 else None))
    keys = [hashlib.sha256(changes.encode() + row.numpy().tobytes()).digest() for row in windows]
    folder = user_cache.folder(_CACHE) / fingerprint(encoder.pretrained, windows[:1])
    found = _read(folder, set(keys))
    missing = list({key: row for row, key in enumerate(keys) if key not in found}.values())
    kind = kind_of(encoder.spec)
    for start in range(0, len(missing), _KEPT):
        rows = missing[start : start + _KEPT]
        made: list[Tensor] = []
        for few in torch.tensor(rows).split(at_once(windows)):
            seen = [windows[few]]
            for view in range(1, views):
                changed = []
                for row in few.tolist():
                    with torch.random.fork_rng(devices=[]):
                        torch.manual_seed(zlib.crc32(windows[row].numpy().tobytes()) + view)
                        changed.append(kind.change(windows[row : row + 1], config, tokenizer))
                seen.append(torch.cat(changed))
            with half(torch.device("cpu")):  # enough without gradients
                made.append(torch.stack([encoder.pretrained(view).float() for view in seen], dim=1))
            progress(start + sum(map(len, made)), len(missing))
        features, written = torch.cat(made), [keys[row] for row in rows]
        names = torch.tensor([list(key) for key in written], dtype=torch.uint8)
        path = folder / f"{written[0].hex()[:32]}.safetensors"
        with suppress(OSError):  # of a full disk, or of another process that keeps the same windows now
            folder.mkdir(parents=True, exist_ok=True)
            durable.write(path, save({"keys": names, "features": features}), private=True)
        found |= dict(zip(written, features, strict=True))
    if missing:
        user_cache.prune(_CACHE)
    return torch.stack([found[key] for key in keys])


@torch.no_grad()
def fingerprint(encoder: nn.Module, window: Tensor) -> str:
    """Return a hash of an encoder's weights and of its output for a test input like `window` [1, ...]."""
    digest = hashlib.sha256(_weights(encoder))
    steps = torch.arange(window.numel()).view(window.shape)
    swelling = 1 + steps % 96 * steps // window.numel()
    test = {torch.float32: swelling / 96, torch.int64: steps % 2}.get(window.dtype, swelling)  # any tokens
    probe = encoder(test.to(window.dtype))
    digest.update((100 * probe / probe.abs().max()).round().numpy().tobytes())
    return digest.hexdigest()[:32]


@cache
def _weights(encoder: nn.Module) -> bytes:
    """Return a hash of a frozen encoder and its weights; of many millions, it takes long."""
    digest = hashlib.sha256(repr(encoder).encode())
    for value in encoder.state_dict().values():
        digest.update(value.numpy().tobytes())
    return digest.digest()


def _read(folder: Path, wanted: set[bytes]) -> dict[bytes, Tensor]:
    """Return the kept features of `wanted` windows; of other files only the keys are read."""
    found: dict[bytes, Tensor] = {}
    for path in folder.glob("*.safetensors"):
        with suppress(OSError, SafetensorError), safe_open(path, "pt") as kept:  # removed now, or damaged
            rows = {bytes(key): row for row, key in enumerate(kept.get_tensor("keys").tolist())}
            if here := wanted & rows.keys():
                features = kept.get_tensor("features")
                found |= {key: features[rows[key]].clone() for key in here}
                user_cache.use(path)
    return found
