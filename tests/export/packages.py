"""The contents of Core ML packages: all that can be checked without a Mac."""

import math
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sensemble_export.lowering.targets import COREML_LEAST


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """The contents of a Core ML package.

    Attributes:
        inputs: dtype and shape of each input, by name.
        outputs: dtype and shape of each output, by name.
        computes: the number of operations by the dtype of their result, without constants, casts and the
            operations that lead to a logarithm.
        weights: the number of elements of constants with at least `COREML_LEAST` elements, by storage:
            `float16`, `float32`, `int8`, `palette-6bit`, ...
    """

    inputs: dict[str, tuple[str, tuple[int, ...]]]
    outputs: dict[str, tuple[str, tuple[int, ...]]]
    computes: Counter[str]
    weights: Counter[str]


def summarize(package: Path) -> PackageSummary:
    """Return the contents of a Core ML package (.mlpackage)."""
    from coremltools.models.utils import load_spec  # only here: each worker reads this file, and it takes 6 s

    with TemporaryDirectory() as folder:  # coremltools writes the manifest of what it reads
        spec = load_spec(str(shutil.copytree(package, Path(folder, package.name))))
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    computes: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    towards_log: set[str] = set()  # the values that lead to a logarithm
    for operation in reversed(block.operations):  # each operation comes after its inputs
        tensor = operation.outputs[0].type.tensorType
        if operation.type.startswith("const"):
            count = math.prod(d.constant.size for d in tensor.dimensions)
            if count >= COREML_LEAST:
                weights[_storage(operation)] += count
        elif operation.type == "log" or towards_log.intersection(result.name for result in operation.outputs):
            towards_log.update(value.name for bound in operation.inputs.values() for value in bound.arguments)
        elif operation.type != "cast":
            computes[_dtype(tensor)] += 1
    return PackageSummary(
        dict(map(_feature, spec.description.input)),
        dict(map(_feature, spec.description.output)),
        computes,
        weights,
    )


def _storage(operation: Any) -> str:  # noqa: ANN401 - a protobuf message
    if operation.type == "constexpr_lut_to_dense":
        entries = math.prod(d.constant.size for d in operation.attributes["lut"].type.tensorType.dimensions)
        return f"palette-{int(math.log2(entries))}bit"
    if operation.type == "constexpr_affine_dequantize":
        return "int8"
    return _dtype(operation.outputs[0].type.tensorType)


def _dtype(tensor: Any) -> str:  # noqa: ANN401 - as above
    from coremltools.proto import MIL_pb2

    name: str = MIL_pb2.DataType.Name(tensor.dataType)
    return name.lower()


def _feature(feature: Any) -> tuple[str, tuple[str, tuple[int, ...]]]:  # noqa: ANN401 - a protobuf message
    array = feature.type.multiArrayType
    dtype: str = (
        type(array).ArrayDataType.Name(array.dataType) if hasattr(type(array), "ArrayDataType") else ""
    )
    return feature.name, (dtype.lower(), tuple(array.shape))
