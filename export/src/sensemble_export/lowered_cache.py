"""Artifacts of frozen encoders, in the user's cache by content: lowered once, they serve every model."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import platformdirs
from sensemble_train.data.embedded import fingerprint
from torch import Tensor, nn

from sensemble_export.partition_report import Delegation
from sensemble_export.targets import Job, all_targets, needs_ranges


@dataclass(frozen=True, slots=True)
class CachedArtifact:
    """The place of one artifact in the cache; its delegation is in a JSON file of the same name."""

    path: Path

    def fetch(self, to: Path) -> Delegation | None:
        """Copy the artifact to a path, and return its delegation; None if it is not kept, or is damaged."""
        try:
            noted = json.loads(self.path.with_suffix(".json").read_text("utf-8"))
            delegation, content = Delegation(**noted["delegation"]), self.path.read_bytes()
            if hashlib.sha256(content).hexdigest() != noted["sha256"]:
                return None
            to.write_bytes(content)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return delegation

    def store(self, made: Path, delegation: Delegation) -> None:
        """Keep an artifact; a full disk is no failure."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            shutil.copy(made, partial)
            partial.replace(self.path)
            digest = hashlib.sha256(made.read_bytes()).hexdigest()
            noted = {"delegation": asdict(delegation), "sha256": digest}
            self.path.with_suffix(".json").write_text(json.dumps(noted), "utf-8")


def cached(encoder: nn.Module, windows: Tensor, job: Job) -> CachedArtifact | None:
    """Return the place of an artifact; None for what learns, or is not one file with a delegation."""
    if job.target != "executorch-xnnpack" or any(p.requires_grad for p in encoder.parameters()):
        return None
    tools = {tool: version(tool) for tool in ("torch", *all_targets()[job.target].tools)}
    digest = hashlib.sha256(f"{fingerprint(encoder, windows[:1])} {windows.shape[1:]} {job} {tools}".encode())
    for module in sorted(Path(__file__).parent.glob("*.py")):  # another version may lower otherwise
        digest.update(module.read_bytes())
    if needs_ranges(job.scheme):
        digest.update(windows.numpy().tobytes())
    folder = Path(platformdirs.user_cache_dir("sensemble")) / "lowered"
    return CachedArtifact(folder / f"{digest.hexdigest()[:32]}{all_targets()[job.target].suffix}")
