"""The partition report of a bundle, `lowering.json`: the operations that each program's delegate runs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE_NAME = "lowering.json"


@dataclass(frozen=True, slots=True)
class Delegation:
    """The parts of an ExecuTorch program that its delegate and ExecuTorch's own kernels run."""

    subgraphs: int  # parts that XNNPACK runs; one is best, as data is copied between parts
    delegated: dict[str, int]  # operations in them, by name
    remaining: dict[str, int]  # operations of ExecuTorch's own kernels, by name


def write_lowering(delegations: Mapping[str, Delegation], path: Path) -> None:
    """Write `{artifact: {"subgraphs", "delegated", "not_delegated": {operator: count}}}`."""
    report = {
        artifact: {
            "subgraphs": delegation.subgraphs,
            "delegated": sum(delegation.delegated.values()),
            "not_delegated": delegation.remaining,
        }
        for artifact, delegation in sorted(delegations.items())
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def describe_lowering(path: Path) -> Iterator[str]:
    """Yield a `lowering.json` in words, one line for each artifact."""
    for artifact, delegation in json.loads(path.read_text(encoding="utf-8")).items():
        outside = ", ".join(f"{count} {name}" for name, count in delegation["not_delegated"].items())
        parts = "subgraph" if delegation["subgraphs"] == 1 else "subgraphs"
        yield (
            f"{artifact}: {delegation['delegated']} operators in {delegation['subgraphs']} {parts}; "
            f"outside: {outside or 'none'}"
        )
