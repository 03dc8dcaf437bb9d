"""Conversion of an encoder to an ExecuTorch program for XNNPACK, quantized by torchao."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial

import torch
from executorch.backends.xnnpack import _passes, xnnpack_preprocess
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
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
from executorch.exir.pass_base import ExportPass
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_train.models.frontend import Spectrum
from torch import Tensor, fx, nn
from torch._export import utils as export_utils
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.fx.passes.infra.partitioner import Partition
from torch.fx.passes.infra.pass_base import PassResult
from torch.fx.traceback import NodeSource
from torchao.quantization import Int8DynamicActivationIntxWeightConfig, quantize_
from torchao.quantization.granularity import PerGroup
from torchao.quantization.pt2e.observer import PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, SharedQuantizationSpec
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from sensemble_export.lowering.rewrite import Norm, RootMeanSquare, centred, lowerable
from sensemble_export.lowering.targets import INT4_GROUP, Delegation, Lowered, is_int4

Runs = Callable[[fx.Node], bool]
_FLOAT = (Spectrum, RootMeanSquare, Norm)  # their values span many decades
_CLAMPS = {torch.ops.aten.hardtanh.default, torch.ops.aten.relu6.default}
_NEEDLESS = (_passes.ConvertToSDPAPass, _passes.ConvertToUpsampleBilinear2d)


def to_executorch(encoder: nn.Module, windows: Tensor, scheme: Scheme) -> Lowered:
    """Return `encoder` as an ExecuTorch program, quantized and lowered."""
    module = lowerable(encoder, int8=scheme != "fp32")
    if scheme != "fp32":
        module = quantize(centred(module, windows), windows, scheme)
    return lower(module, windows[:1])


def quantize(encoder: nn.Module, windows: Tensor, scheme: Scheme) -> fx.GraphModule:
    """Quantize the linear layers and convolutions of `encoder`, as `rewrite.lowerable` returns it, in place.

    Log-mel front ends, layer norms, and every operation that is not a product with a weight (softmax,
    residual sums) stay float. Convolutions are static int8 in every scheme. In `int4-weights`, small linear
    layers (`targets.is_int4`) are as in `int8-dynamic`. `windows` [N, ...] of real data give the activations'
    ranges.
    """
    large = [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear) and is_int4(scheme, *module.weight.shape)
    ]
    if large:
        config = Int8DynamicActivationIntxWeightConfig(
            weight_dtype=torch.int4,  # type: ignore[attr-defined]
            weight_granularity=PerGroup(INT4_GROUP),
        )
        quantize_(encoder, config, filter_fn=lambda _, name: name in large)
    quantizer = _Quantizer().set_filter_function(partial(_is_quantized, encoder=encoder, kept=large))
    static = get_symmetric_quantization_config(is_per_channel=True)
    dynamic = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=True)
    quantizer.set_operator_type(torch.ops.aten.conv2d.default, static)
    quantizer.set_operator_type(torch.ops.aten.linear.default, static if scheme == "int8-static" else dynamic)
    with _nothing_needless(), torch.no_grad():
        prepared = prepare_pt2e(torch.export.export(encoder, (windows[:1],)).module(), quantizer)
        first, *others = windows.split(1)
        prepared(first)
        for module in prepared.modules():
            if isinstance(module, PerChannelMinMaxObserver):  # of weights: one look is enough
                module.forward = _unchanged
        for window in others:
            prepared(window)
        quantized: fx.GraphModule = convert_pt2e(prepared)
    return quantized


def _unchanged(x: Tensor) -> Tensor:
    return x


class _Quantizer(XNNPACKQuantizer):  # type: ignore[misc]
    """ExecuTorch's quantizer, with ranges that lose less.

    A convolution's range is measured behind a following clamp, such as ReLU6, which cuts off most of it.
    Means stay float: the input's rounding steps would leave little of them. A maximum has its input's
    scale. It skips the base's search for batch norms in training, whose patterns take a fifth of the time to
    trace.
    """

    SUPPORTED_PATTERNS = [  # noqa: RUF012 - as in the base
        pattern for pattern in XNNPACKQuantizer.SUPPORTED_PATTERNS if not pattern.is_qat
    ]

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """See `Quantizer`."""
        annotated: fx.GraphModule = self._annotate_for_quantization_config(model)  # without propagation
        for node in annotated.graph.nodes:
            if node.target is torch.ops.aten.max_pool2d.default and Q_ANNOTATION_KEY in node.args[0].meta:
                same = SharedQuantizationSpec(node.args[0])  # XNNPACK pools by no other
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                    {node.args[0]: same}, same, _annotated=True
                )
            before = node.args[0].meta.get(Q_ANNOTATION_KEY) if node.target in _CLAMPS else None
            if before is not None and len(node.args[0].users) == 1:
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                    output_qspec=before.output_qspec, _annotated=True
                )
                before.output_qspec = None
        return annotated


def _is_quantized(node: fx.Node, encoder: nn.Module, kept: Sequence[str]) -> bool:
    names = [name for name, _ in node.meta.get("nn_module_stack", {}).values()]
    return not any(name in kept or isinstance(encoder.get_submodule(name), _FLOAT) for name in names)


def lower(encoder: nn.Module, window: Tensor) -> Lowered:
    """Lower a module, quantized or not, that takes a tensor like `window` [1, ...]."""
    with _nothing_needless():
        with torch.no_grad():
            exported = torch.export.export(encoder, (window,))
        # Repeated checks of the intermediate form take a quarter of the time; parity checks the result.
        edge = to_edge_transform_and_lower(
            exported,
            partitioner=[_LargestParts()],
            compile_config=EdgeCompileConfig(_check_ir_validity=False),
        )
    delegation = divided(edge)
    # An encoder has a hundred constants, many of them small; XNNPACK needs 16-byte alignment.
    program = edge.to_executorch(ExecutorchBackendConfig(segment_alignment=16)).buffer
    return Lowered({"": bytes(program)}, delegation)


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
    """A partitioner that makes the largest parts without cyclic dependencies, and needs fewer decompositions.

    ExecuTorch's own merges groups of nodes and tries each pair once. The layers for q, k and v share the
    dynamic range of their input, so they are one wide group, which it tries too early: it divides the program
    at each attention.
    """

    def generate_partitions(self, ep: ExportedProgram) -> list[Partition]:
        nodes = self.get_matched_nodes_from_configs(ep)
        parts: list[Partition] = generate_partitions_from_list_of_nodes(ep.graph_module, nodes)
        return parts

    def ops_to_not_decompose(self, ep: ExportedProgram) -> tuple[list[OpOverload], Runs | None]:
        """Return the operations to keep whole; skip their test, a whole decomposition, if all pass it."""
        whole: list[OpOverload]
        runs: Runs
        whole, runs = super().ops_to_not_decompose(ep)
        passed = all(runs(node) for node in ep.graph.nodes if node.target in whole)
        return whole, None if passed else runs


class _Passes(_passes.XNNPACKPassManager):  # type: ignore[misc]
    passes: list[type]

    def __init__(self, program: object, passes: object = None) -> None:
        super().__init__(program, passes)
        self.passes = [applied for applied in self.passes if applied not in _NEEDLESS]


@contextmanager
def _nothing_needless() -> Iterator[None]:
    """Skip work that does not change the program's bytes; the pinned libraries have no setting for it.

    Two passes over operations that our encoders do not have first trace patterns of their own, which takes as
    long as lowering a small encoder. Most passes change nothing and trace the graph again all the same. Each
    copies each node's whole history, for debuggers; that is a sixth of the time. Each writes the graph as
    Python and compiles that, a fifth of the time, though of hundreds of graphs few are called. Each time that
    torch asks for all composite operations, it looks them up anew for each of thirty namespaces.
    """
    trace, write, last = ExportPass.call, fx.GraphModule.recompile, list[object]()
    look_up = export_utils._materialize_cpp_cia_ops  # noqa: SLF001

    def write_when_called(self: fx.GraphModule) -> None:
        def forward(module: fx.GraphModule, *given: object, **named: object) -> object:
            write(module)
            return module(*given, **named)

        self._code, self._lineno_map, self._prologue_start = "", {}, 0
        if isinstance(codegen := self.graph._codegen, fx.graph._PyTreeCodeGen):  # noqa: SLF001
            self._in_spec, self._out_spec = codegen.pytree_info.in_spec, codegen.pytree_info.out_spec
        type(self).forward = forward

    def listed(module: fx.GraphModule) -> list[object]:
        return [(node, node.target, node.args, node.kwargs) for node in module.graph.nodes]

    def trace_what_changed(self: ExportPass, module: fx.GraphModule) -> PassResult:
        if type(self).call_operator is ExportPass.call_operator and listed(module) == last:
            return PassResult(module, modified=False)
        traced: PassResult = trace(self, module)
        last[:] = listed(traced.graph_module)
        return traced

    ExportPass.call = trace_what_changed
    fx.GraphModule.recompile = write_when_called  # type: ignore[assignment, method-assign]
    xnnpack_preprocess.XNNPACKPassManager = _Passes
    NodeSource.__deepcopy__ = lambda self, _: self  # type: ignore[attr-defined]
    export_utils._materialize_cpp_cia_ops = cache(look_up)  # noqa: SLF001
    try:
        yield
    finally:
        ExportPass.call = trace
        fx.GraphModule.recompile = write  # type: ignore[method-assign]
        xnnpack_preprocess.XNNPACKPassManager = _passes.XNNPACKPassManager
        del NodeSource.__deepcopy__  # type: ignore[attr-defined]
        export_utils._materialize_cpp_cia_ops = look_up  # noqa: SLF001


def _operations(graph: fx.GraphModule) -> Counter[str]:
    names = (node.target.__name__ for node in graph.graph.nodes if node.op == "call_function")
    return Counter(name for name in names if name != "getitem")
