"""Conversion of an encoder to a Core ML package."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import coremltools as ct
import coremltools.optimize.coreml as optimize
import numpy as np
import torch
from sensemble_runtime.bundle.manifest import Scheme
from torch import Tensor, nn

from sensemble_export.lowering.targets import COREML_LEAST, Lowered, input_dtype

OLDEST = ct.target.iOS17  # system that runs the packages; macOS 14 has the same Core ML

_WEIGHTED = {"linear", "conv", "gather"}
_CONFIGS = {
    "int8-weights": optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=COREML_LEAST),
    "palette-6bit": optimize.OpPalettizerConfig(mode="kmeans", nbits=6, weight_threshold=COREML_LEAST),
    "palette-4bit": optimize.OpPalettizerConfig(mode="kmeans", nbits=4, weight_threshold=COREML_LEAST),
}


class NamedInput(nn.Module):
    """An encoder whose input is named `window`."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, window: Tensor) -> Tensor:
        """Encode a window."""
        return self.encoder(window)  # type: ignore[no-any-return]


def to_coreml(encoder: nn.Module, windows: Tensor, scheme: Scheme) -> Lowered:
    """Return `encoder` as a Core ML package, with the input `window` and the output `embedding`.

    It computes in float16, except in `fp32` and where operations lead to a logarithm: the log-mel's energies
    are too small for float16. Biases, positions and the front end's constants are not quantized.
    """
    dtype = str(windows.dtype).removeprefix("torch.")
    window = windows[:1].to(getattr(torch, input_dtype(dtype, "coreml")))
    with torch.no_grad():
        program = torch.export.export(NamedInput(encoder), (window,)).run_decompositions({})
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
        excluded = {name: None for name, found in weights.items() if not _is_quantized(name, found)}
        config = optimize.OptimizationConfig(_CONFIGS[scheme], op_name_configs=excluded)
        linear = scheme == "int8-weights"
        quantized = optimize.linear_quantize_weights if linear else optimize.palettize_weights
        model = quantized(model, config)
    with TemporaryDirectory() as folder:
        package = Path(folder, "model.mlpackage")
        model.save(str(package))
        _make_reproducible(package, dtype)
        files = (path for path in package.rglob("*") if path.is_file())
        return Lowered({path.relative_to(package).as_posix(): path.read_bytes() for path in sorted(files)})


class _NotTowardsLog:
    """Select the operations that do not lead to a logarithm; the first call looks at the whole block."""

    def __init__(self) -> None:
        self._towards: dict[Any, bool] = {}

    def __call__(self, op: Any) -> bool:  # noqa: ANN401 - coremltools has no types
        if op not in self._towards:
            for each in reversed(list(op.enclosing_block.operations)):
                users = (user for output in each.outputs for user in output.child_ops)
                self._towards[each] = each.op_type == "log" or any(self._towards[user] for user in users)
        return not self._towards[op]


def _is_quantized(name: str, found: Any) -> bool:  # noqa: ANN401 - as above
    """Tell whether a constant is a layer's weight; torch's buffers (the front end's) begin with `b_`."""
    return not name.startswith("b_") and any(child.op_type in _WEIGHTED for child in found.child_ops)


def _make_reproducible(package: Path, dtype: str) -> None:
    """Replace the date by `dtype`, for the executor, and random names by fixed ones."""
    written = package / "Data" / "com.apple.CoreML" / "model.mlmodel"  # everything but the weights
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
