"""Artifacts of frozen encoders, in the user's cache by content: lowered once, they serve every model."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from sensemble_train import user_cache
from sensemble_train.data.embedding_cache import fingerprint
from torch import Tensor, nn

from sensemble_export.lowering.targets import Delegation, Job, Lowered, needs_ranges, target_of

_CACHE = "lowered"
_FILES = {"executorch-xnnpack", "onnx"}  # targets whose artifacts are one file


def fetch(path: Path | None) -> Lowered | None:
    """Return an artifact of the cache; None if it is not kept, or is damaged.

    Its delegation is in a JSON file of the same name.
    """
    if path is None:
        return None
    try:
        noted = json.loads(path.with_suffix(".json").read_text("utf-8"))
        delegation = None if noted["delegation"] is None else Delegation(**noted["delegation"])
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != noted["sha256"]:
            return None
        user_cache.use(path)
        user_cache.use(path.with_suffix(".json"))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return Lowered({"": content}, delegation)


def keep(path: Path | None, lowered: Lowered) -> None:
    """Keep an artifact that is for the cache; a full disk is no failure."""
    if path is None:
        return
    content, delegation = lowered.files[""], lowered.delegation
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)
        noted = {
            "delegation": None if delegation is None else asdict(delegation),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        path.with_suffix(".json").write_text(json.dumps(noted), "utf-8")
    user_cache.prune(_CACHE)


def place_of(encoder: nn.Module, windows: Tensor, job: Job) -> Path | None:
    """Return the path of an artifact in the cache; None if its encoder learns, or it is not one file."""
    if job.target not in _FILES or any(p.requires_grad for p in encoder.parameters()):
        return None
    tools = {tool: version(tool) for tool in ("torch", *target_of(job.target).tools)}
    digest = hashlib.sha256(f"{fingerprint(encoder, windows[:1])} {windows.shape[1:]} {job} {tools}".encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):  # a changed room may lower otherwise
        digest.update(module.read_bytes())
    if needs_ranges(job.scheme):
        digest.update(windows.numpy().tobytes())
    return user_cache.folder(_CACHE) / f"{digest.hexdigest()[:32]}{target_of(job.target).suffix}"
