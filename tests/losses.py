"""The losses in the log of a training loop."""

import json
from pathlib import Path


def read_losses(folder: Path) -> list[float]:
    """The loss of every step that a folder's log holds."""
    path = folder / "steps.jsonl"
    return [json.loads(line)["loss"] for line in path.read_text(encoding="utf-8").splitlines()]
