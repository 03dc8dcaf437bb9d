"""The partition report of a bundle, `lowering.json`: the operations that each program's delegate runs."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sensemble_export.lowering.targets import Delegation

FILE_NAME = "lowering.json"


Report = dict[str, Any]
"""`{"subgraphs", "delegated", "not_delegated": {operator: count}}`, for JSON."""


def described(delegation: Delegation) -> Report:
    """Return a delegation for JSON."""
    return {
        "subgraphs": delegation.subgraphs,
        "delegated": sum(delegation.delegated.values()),
        "not_delegated": delegation.remaining,
    }


def write_lowering(reports: Mapping[str, Report], path: Path) -> None:
    """Write the reports by artifact."""
    path.write_text(json.dumps(dict(sorted(reports.items())), indent=1) + "\n", encoding="utf-8")


def read_lowering(path: Path) -> dict[str, Report]:
    """Return the reports by artifact; none if there is no such file."""
    found: dict[str, Report] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


def describe_lowering(path: Path) -> Iterator[str]:
    """Yield a `lowering.json` in words, one line for each artifact."""
    for artifact, delegation in read_lowering(path).items():
        outside = ", ".join(f"{count} {name}" for name, count in delegation["not_delegated"].items())
        parts = "subgraph" if delegation["subgraphs"] == 1 else "subgraphs"
        yield (
            f"{artifact}: {delegation['delegated']} operators in {delegation['subgraphs']} {parts}; "
            f"outside: {outside or 'none'}"
        )
