"""Conversion of an encoder to an ONNX model, quantized by ONNX Runtime's own tools."""

from ast import literal_eval
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_train.models.frontend import Spectrum
from torch import Tensor, nn

from sensemble_export.lowering.rewrite import centred
from sensemble_export.lowering.targets import Lowered

OPSET = 20  # of the default domain; ONNX Runtime 1.17 (2024) and later run it
_SCOPES = "pkg.torch.onnx.name_scopes"  # metadata in which torch stores the modules of a node


def load_exporter() -> None:
    """Export a little model: torch loads half of its exporter, 1,700 modules, with its first."""
    _export(nn.Identity(), torch.zeros(1))


def to_onnx(encoder: nn.Module, windows: Tensor, scheme: Scheme) -> Lowered:
    """Return `encoder` as an ONNX model, checked with onnx's own checker.

    The input is `window`, the output `embedding`. Layer norms stay, because ONNX has them. `int8-dynamic`
    quantizes linear layers and token tables, `int8-static` convolutions too; int8 takes its ranges from
    `windows` [N, ...]. `int8-weights` stores the weights of all of these in int8, and computes in float.
    """
    if scheme in {"int8-dynamic", "int8-static"}:
        encoder = centred(encoder, windows)
    model = _export(encoder, windows[:1])
    front = tuple(name for name, module in encoder.named_modules() if isinstance(module, Spectrum))
    weights = {constant.name for constant in model.graph.initializer}
    chosen = [n for n in model.graph.node if _is_quantized(n, weights, scheme, front)]
    # A convolution's range is that behind its clamp, which then is part of it.
    convolved = {n.output[0] for n in chosen if n.op_type == "Conv"}
    chosen += [n for n in model.graph.node if n.op_type in {"Relu", "Clip"} and n.input[0] in convolved]
    names = [n.name for n in chosen]
    for node in model.graph.node:  # they contain paths of this machine
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    # Weights of 7 bits: sums of products of 8 bits saturate on x86-64 with AVX2 and without VNNI.
    precise = {"per_channel": True, "reduce_range": True, "nodes_to_quantize": names}
    if scheme == "int8-weights":
        _store_in_int8(model.graph, chosen)
    if scheme in {"int8-dynamic", "int8-static"}:
        with TemporaryDirectory() as folder:
            made = Path(folder) / "model.onnx"
            if scheme == "int8-dynamic":
                quantize_dynamic(model, made, **precise)
            else:
                quantize_static(model, made, _Windows(windows), activation_type=QuantType.QInt8, **precise)
            model = onnx.load(made)
    onnx.checker.check_model(model, full_check=True)
    return Lowered({"": model.SerializeToString(deterministic=True)})


def _export(encoder: nn.Module, window: Tensor) -> onnx.ModelProto:
    with torch.no_grad():
        program = torch.onnx.export(
            encoder, (window,), dynamo=True, opset_version=OPSET, input_names=["window"], verbose=False
        )
    assert program is not None  # noqa: S101 - so it is with `dynamo`
    graph = program.model.graph
    for node in graph:
        for value in node.outputs:
            if value.name == "embedding":  # torch's name for the rows of a token table
                value.name = "rows"
    graph.outputs[0].name = "embedding"
    proto: onnx.ModelProto = program.model_proto
    return proto


def _is_quantized(node: onnx.NodeProto, weights: set[str], scheme: Scheme, floats: tuple[str, ...]) -> bool:
    """Tell whether a node multiplies by, or looks up in, weights outside the modules `floats`."""
    if node.op_type not in {"MatMul", "Gemm", "Gather", *(["Conv"] if scheme != "int8-dynamic" else [])}:
        return False
    scopes: list[str] = next((literal_eval(p.value) for p in node.metadata_props if p.key == _SCOPES), [])
    constants = [name for name in node.input if name in weights]
    inside = tuple(f"{name}." for name in floats)
    return bool(constants) and not any(f"{name}.".startswith(inside) for name in (*scopes, *constants))


def _store_in_int8(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Store the weights of `nodes` as int8 with a scale for each output channel, or row of a table.

    A cast and a product restore them, which ONNX Runtime folds into a float constant when it loads the model.
    A `DequantizeLinear`, which it does not fold, would run with each window.
    """
    stored = {constant.name: constant for constant in graph.initializer}
    restored = []
    for node in nodes:
        for name in node.input:
            weight = numpy_helper.to_array(stored[name]) if name in stored else np.zeros(0)
            if weight.ndim < 2 or weight.dtype != np.float32:
                continue
            scale = np.abs(weight).max(axis=_inputs(node, weight.ndim), keepdims=True) / 127
            scale[scale == 0] = 1
            values = np.round(weight / scale).astype(np.int8)
            graph.initializer.remove(stored.pop(name))
            parts = {f"{name}.int8": values, f"{name}.scale": scale}
            graph.initializer.extend(numpy_helper.from_array(array, part) for part, array in parts.items())
            restored += [
                helper.make_node("Cast", [f"{name}.int8"], [f"{name}.cast"], to=onnx.TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]),
            ]
    nodes = [*restored, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _inputs(node: onnx.NodeProto, rank: int) -> tuple[int, ...]:
    """Return the axes of a weight over which a product sums; of a table, those within a row."""
    if node.op_type == "MatMul":
        return (rank - 2,)
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return (0,) if node.op_type == "Gemm" and not transposed else tuple(range(1, rank))


class _Windows(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, windows: Tensor) -> None:
        self._each = iter([{"window": window.numpy()} for window in windows.split(1)])

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        return next(self._each, None)
