"""From an encoder to a Core ML package, or to an ExecuTorch program for Core ML's delegate."""

import json
from pathlib import Path
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as optimize
import numpy as np
import torch
from executorch.backends.apple.coreml.compiler import CoreMLBackend
from executorch.backends.apple.coreml.partition import CoreMLPartitioner
from executorch.exir import to_edge_transform_and_lower
from sensemble_runtime.bundle.manifest import Scheme
from sensemble_train.models.frontend import LogMel
from torch import Tensor, nn

from sensemble_export.coreml_inspect import specification
from sensemble_export.lower import divided
from sensemble_export.partition_report import Delegation
from sensemble_export.targets import COREML_LEAST, input_dtype, within

OLDEST = ct.target.iOS17
"""The oldest system that runs the packages; macOS 14 has the same Core ML."""

_WEIGHTED = {"linear", "conv", "gather"}
_CONFIGS = {
    "int8-weights": optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=COREML_LEAST),
    "palette-6bit": optimize.OpPalettizerConfig(mode="kmeans", nbits=6, weight_threshold=COREML_LEAST),
    "palette-4bit": optimize.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=COREML_LEAST),
}


class Fed(nn.Module):
    """An encoder whose input is named `window`."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, window: Tensor) -> Tensor:
        """Encode what Core ML is fed."""
        return self.encoder(window)  # type: ignore[no-any-return]


def to_coreml(encoder: nn.Module, windows: Tensor, scheme: Scheme, kept: tuple[str, ...], path: Path) -> None:
    """Write `encoder` as the Core ML package `path`, which takes `window` and gives `embedding`.

    Everything computes in float16 but for `fp32` and what leads to a logarithm (the log-mel's energies are
    smaller than float16 holds). Biases, positions and the front end's constants are not quantized.

    Args:
        encoder: in evaluation mode; takes [1, ...].
        windows: [N, ...], of which the first gives the form.
        scheme: one of the target's.
        kept: modules in which nothing is quantized.
        path: ends in `.mlpackage`.
    """
    window = _fed(windows)
    with torch.no_grad():
        program = torch.export.export(Fed(encoder), (window,)).run_decompositions({})
    model = ct.convert(
        program,
        outputs=[ct.TensorType("embedding", dtype=np.float32)],
        minimum_deployment_target=OLDEST,
        compute_precision=ct.precision.FLOAT32
        if scheme == "fp32"
        else ct.transform.FP16ComputePrecision(op_selector=_NotTowardsLog()),
        skip_model_load=True,
    )
    if scheme in _CONFIGS:
        weights = optimize.get_weights_metadata(model, weight_threshold=COREML_LEAST)
        excluded = {name: None for name, found in weights.items() if not _is_quantized(name, found, kept)}
        config = optimize.OptimizationConfig(_CONFIGS[scheme], op_name_configs=excluded)
        linear = scheme == "int8-weights"
        quantized = optimize.linear_quantize_weights if linear else optimize.palettize_weights
        model = quantized(model, config)
    model.save(str(path))
    _make_reproducible(path, _dtype(windows))


def to_executorch(encoder: nn.Module, windows: Tensor, scheme: Scheme, path: Path) -> Delegation:
    """Write `encoder` as an ExecuTorch program whose whole graph is Core ML's.

    It is fed as a package is. The delegate has one precision for the whole graph, and a log-mel underflows in
    float16: an encoder that has one takes `fp32`.

    Returns:
        How the program is divided: one subgraph, with everything in it.

    Raises:
        ValueError: `scheme` is `fp16` and the encoder has a log-mel, or not all of it is Core ML's.
    """
    heard = any(isinstance(module, LogMel) for module in encoder.modules())
    if heard and scheme == "fp16":
        raise ValueError("its log-mel underflows in float16: choose fp32, or the target coreml")
    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=OLDEST,
        compute_precision=ct.precision.FLOAT16 if scheme == "fp16" else ct.precision.FLOAT32,
    )
    with torch.no_grad():
        program = torch.export.export(Fed(encoder), (_fed(windows),))
    edge = to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner(compile_specs=specs)])
    delegation = divided(edge)
    if delegation.remaining or delegation.subgraphs != 1:
        raise ValueError(
            f"Core ML takes {delegation.subgraphs} parts of it, and leaves {delegation.remaining}"
        )
    path.write_bytes(edge.to_executorch().buffer)
    return delegation


def _fed(windows: Tensor) -> Tensor:
    """Return the first of windows [N, ...], as an encoder for Core ML takes it."""
    return windows[:1].to(getattr(torch, input_dtype(_dtype(windows), "coreml")))


def _dtype(windows: Tensor) -> str:
    return str(windows.dtype).removeprefix("torch.")


class _NotTowardsLog:
    """Says of an operation whether it is no logarithm and none is taken of what it computes.

    All of a block are looked at once, from its end, before the first is changed.
    """

    def __init__(self) -> None:
        self._towards: dict[Any, bool] = {}

    def __call__(self, op: Any) -> bool:  # noqa: ANN401 - coremltools has no types
        if op not in self._towards:
            for each in reversed(list(op.enclosing_block.operations)):
                users = (user for output in each.outputs for user in output.child_ops)
                self._towards[each] = each.op_type == "log" or any(self._towards[user] for user in users)
        return not self._towards[op]


def _is_quantized(name: str, found: Any, kept: tuple[str, ...]) -> bool:  # noqa: ANN401 - as above
    """Say whether a constant is the weight of a layer; torch's buffers, the front end's, begin with `b_`."""
    weighted = any(child.op_type in _WEIGHTED for child in found.child_ops)
    layer = name.removeprefix("p_encoder_").replace("_", ".")
    return (
        weighted and not name.startswith("b_") and not within(layer, tuple(k.replace("_", ".") for k in kept))
    )


def _make_reproducible(package: Path, dtype: str) -> None:
    """Put `dtype`, for the executor, in the place of the date, and fixed names in that of random ones."""
    written = specification(package)
    spec = ct.utils.load_spec(str(package))
    del spec.description.metadata.userDefined["com.github.apple.coremltools.conversion_date"]
    spec.description.metadata.userDefined["dtype"] = dtype
    written.write_bytes(spec.SerializeToString(deterministic=True))
    written.chmod(0o644)
    manifest = package / "Manifest.json"
    contents: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
    items: dict[str, dict[str, str]] = contents["itemInfoEntries"]
    names = {old: item["name"] for old, item in items.items()}
    contents["itemInfoEntries"] = {names[old]: items[old] for old in sorted(items, key=names.__getitem__)}
    contents["rootModelIdentifier"] = names[contents["rootModelIdentifier"]]
    manifest.write_text(json.dumps(contents, indent=1), encoding="utf-8")
