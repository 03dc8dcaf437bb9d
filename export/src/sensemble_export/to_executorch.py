"""Lowering of a module to an ExecuTorch program for XNNPACK."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from executorch.backends.xnnpack import _passes, xnnpack_preprocess
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import (
    EdgeCompileConfig,
    EdgeProgramManager,
    ExecutorchBackendConfig,
    to_edge_transform_and_lower,
)
from executorch.exir.backend.canonical_partitioners.pattern_op_partitioner import (
    generate_partitions_from_list_of_nodes,
)
from executorch.exir.delegate import executorch_call_delegate
from executorch.exir.lowered_backend_module import get_lowered_backend_modules
from sensemble_runtime.bundle.manifest import Scheme
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.fx.passes.infra.partitioner import Partition

from sensemble_export.partition_report import Delegation
from sensemble_export.quantize import quantize
from sensemble_export.rewrite import centred, lowerable

_NEEDLESS = (
    _passes.ConvertToSDPAPass,
    _passes.ConvertToUpsampleBilinear2d,
    _passes.PReLUReshapePass,
    _passes.Conv1dUnsqueezePass,
)


@dataclass(frozen=True, slots=True)
class Lowered:
    """An ExecuTorch program: the bytes of a .pte file, and its division."""

    program: bytes
    delegation: Delegation


def to_executorch(encoder: nn.Module, windows: Tensor, scheme: Scheme, path: Path) -> Delegation:
    """Write `encoder` as the ExecuTorch program `path`, quantized and lowered; return its division."""
    module = lowerable(encoder, int8=scheme != "fp32")
    if scheme != "fp32":
        module = quantize(centred(module, windows), windows, scheme)
    lowered = lower(module, windows[:1])
    path.write_bytes(lowered.program)
    return lowered.delegation


def lower(encoder: nn.Module, window: Tensor) -> Lowered:
    """Lower a module, quantized or not, that takes a tensor like `window` [1, ...]."""
    with torch.no_grad():
        exported = torch.export.export(encoder, (window,))
    # Repeated checks of the intermediate form take a quarter of the time; parity checks the result.
    with _only_passes_that_apply():
        edge = to_edge_transform_and_lower(
            exported,
            partitioner=[_LargestParts()],
            compile_config=EdgeCompileConfig(_check_ir_validity=False),
        )
    delegation = divided(edge)
    # An encoder has a hundred constants, many of them small; XNNPACK needs 16-byte alignment.
    program = edge.to_executorch(ExecutorchBackendConfig(segment_alignment=16)).buffer
    return Lowered(program, delegation)


def divided(edge: EdgeProgramManager) -> Delegation:
    """Count the operations of a program that a delegate runs, and those that remain."""
    graph = edge.exported_program().graph_module
    parts = get_lowered_backend_modules(graph)
    delegated: Counter[str] = Counter()
    for part in parts:
        delegated += _operations(part.original_module.graph_module)
    remaining = _operations(graph)
    remaining.pop(executorch_call_delegate.__name__, None)
    return Delegation(len(parts), dict(delegated), dict(remaining))


class _LargestParts(XnnpackPartitioner):  # type: ignore[misc]
    """A partitioner that makes the largest parts without cyclic dependencies.

    ExecuTorch's own merges groups of nodes and tries each pair once. The layers for q, k and v share the
    dynamic range of their input, so they are one wide group, which it tries too early: it divides the program
    at each attention.
    """

    def generate_partitions(self, ep: ExportedProgram) -> list[Partition]:
        nodes = self.get_matched_nodes_from_configs(ep)
        parts: list[Partition] = generate_partitions_from_list_of_nodes(ep.graph_module, nodes)
        return parts


class _Passes(_passes.XNNPACKPassManager):  # type: ignore[misc]
    passes: list[type]

    def __init__(self, program: object, passes: object = None) -> None:
        super().__init__(program, passes)
        self.passes = [applied for applied in self.passes if applied not in _NEEDLESS]


@contextmanager
def _only_passes_that_apply() -> Iterator[None]:
    """Skip the passes over operations that our encoders do not have; each walks the whole graph.

    Two of them first trace patterns of their own, which takes as long as lowering a small encoder. ExecuTorch
    1.5, to which this distribution is pinned, has no setting for it. The program's bytes stay the same.
    """
    xnnpack_preprocess.XNNPACKPassManager = _Passes
    try:
        yield
    finally:
        xnnpack_preprocess.XNNPACKPassManager = _passes.XNNPACKPassManager


def _operations(graph: fx.GraphModule) -> Counter[str]:
    names = (node.target.__name__ for node in graph.graph.nodes if node.op == "call_function")
    return Counter(name for name in names if name != "getitem")
