"""What a Core ML package says of itself, held against what it should be: all that is known without a Mac."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coremltools as ct
from coremltools.proto import MIL_pb2


@dataclass(frozen=True, slots=True)
class Census:
    """A Core ML package as its specification describes it.

    Attributes:
        takes: dtype and shape of each input, by name.
        gives: of each output.
        system: the opset, as `CoreML7` (iOS 17).
        operations: how many there are of each kind, without constants.
        weights: elements of the constants of at least `LEAST_WEIGHTS` elements, by how they are stored:
            `float16`, `float32`, `int8`, `palette-6bit`, ...
        weight_bytes: the size of the file of weights.
    """

    takes: dict[str, tuple[str, tuple[int, ...]]]
    gives: dict[str, tuple[str, tuple[int, ...]]]
    system: str
    operations: Counter[str]
    weights: Counter[str]
    weight_bytes: int


LEAST_WEIGHTS = 512
"""A layer of fewer weights stays float: its scales or its palette would outweigh what it saves."""


def census(package: Path) -> Census:
    """Read a Core ML package (.mlpackage)."""
    spec = ct.utils.load_spec(str(package))
    ((system, block),) = spec.mlProgram.functions["main"].block_specializations.items()
    operations: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for operation in block.operations:
        if not operation.type.startswith("const"):
            operations[operation.type] += 1
            continue
        tensor = operation.outputs[0].type.tensorType
        count = math.prod(d.constant.size for d in tensor.dimensions)
        if count >= LEAST_WEIGHTS:
            weights[_storage(operation)] += count
    return Census(
        dict(map(_feature, spec.description.input)),
        dict(map(_feature, spec.description.output)),
        system,
        operations,
        weights,
        (package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").stat().st_size,
    )


def problems(found: Census, fed: str, shape: tuple[int, ...], embedding: int, scheme: str) -> Iterator[str]:
    """Yield what of a package is not as it should be.

    Args:
        found: what was read.
        fed: dtype of its input.
        shape: of its input.
        embedding: d.
        scheme: how it should be stored; layers that stay float may be there beside it.
    """
    if found.takes != {"window": (fed, shape)}:
        yield f"it takes {found.takes}, not window {fed} {list(shape)}"
    if found.gives != {"embedding": ("float32", (1, embedding))}:
        yield f"it gives {found.gives}, not embedding float32 [1, {embedding}]"
    if found.system != "CoreML7":
        yield f"it is for {found.system}, not CoreML7 (iOS 17)"
    main = {"fp32": "float32", "fp16": "float16", "int8-weights": "int8"}.get(scheme, scheme)
    if set(found.weights) - {main, "float16", "float32"}:
        yield f"its weights are {dict(found.weights)}, not {main}"
    if not found.weights[main] > sum(found.weights.values()) / 2:
        yield f"most of its weights are not {main}: {dict(found.weights)}"
    # Beside the large constants are small ones, scales, zero points and padding to 64 bytes.
    least = sum(count * _bits(stored) for stored, count in found.weights.items()) / 8
    if not least <= found.weight_bytes <= 1.25 * least + 64 * 1024:
        yield f"its weights take {found.weight_bytes} bytes, and {dict(found.weights)} make {least:.0f}"


def _bits(stored: str) -> int:
    if stored.startswith("palette-"):
        return int(stored.removeprefix("palette-").removesuffix("bit"))
    return {"int8": 8, "float16": 16, "float32": 32}[stored]


def _storage(operation: Any) -> str:  # noqa: ANN401 - a protobuf message
    if operation.type == "constexpr_lut_to_dense":
        entries = math.prod(d.constant.size for d in operation.attributes["lut"].type.tensorType.dimensions)
        return f"palette-{int(math.log2(entries))}bit"
    if operation.type == "constexpr_affine_dequantize":
        return "int8"
    name: str = MIL_pb2.DataType.Name(operation.outputs[0].type.tensorType.dataType)
    return name.lower()


def _feature(feature: Any) -> tuple[str, tuple[str, tuple[int, ...]]]:  # noqa: ANN401 - a protobuf message
    array = feature.type.multiArrayType
    dtype: str = (
        type(array).ArrayDataType.Name(array.dataType) if hasattr(type(array), "ArrayDataType") else ""
    )
    return feature.name, (dtype.lower(), tuple(array.shape))
