"""What a Core ML package says of itself, held against what it should be: all that is known without a Mac."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import coremltools as ct
from coremltools.proto import MIL_pb2
from executorch.backends.apple.coreml import executorchcoreml
from executorch.exir._serialize._program import deserialize_pte_binary


@dataclass(frozen=True, slots=True)
class Census:
    """A Core ML package as its specification describes it.

    Attributes:
        takes: dtype and shape of each input, by name.
        gives: of each output.
        system: the opset, as `CoreML7` (iOS 17).
        operations: how many there are of each kind, without constants.
        computes: how many of them give each dtype.
        weights: elements of the constants of at least `LEAST_WEIGHTS` elements, by how they are stored:
            `float16`, `float32`, `int8`, `palette-6bit`, ...
        weight_bytes: the size of the file of weights.
    """

    takes: dict[str, tuple[str, tuple[int, ...]]]
    gives: dict[str, tuple[str, tuple[int, ...]]]
    system: str
    operations: Counter[str]
    computes: Counter[str]
    weights: Counter[str]
    weight_bytes: int


LEAST_WEIGHTS = 512
"""A layer of fewer weights stays float: its scales or its palette would outweigh what it saves."""


def census(package: Path) -> Census:
    """Read a Core ML package (.mlpackage)."""
    spec = ct.utils.load_spec(str(package))
    ((system, block),) = spec.mlProgram.functions["main"].block_specializations.items()
    operations: Counter[str] = Counter()
    computes: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for operation in block.operations:
        tensor = operation.outputs[0].type.tensorType
        if not operation.type.startswith("const"):
            operations[operation.type] += 1
            computes[_dtype(tensor)] += 1
            continue
        count = math.prod(d.constant.size for d in tensor.dimensions)
        if count >= LEAST_WEIGHTS:
            weights[_storage(operation)] += count
    return Census(
        dict(map(_feature, spec.description.input)),
        dict(map(_feature, spec.description.output)),
        system,
        operations,
        computes,
        weights,
        (package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").stat().st_size,
    )


def embedded(program: Path) -> Census:
    """Read the Core ML package in an ExecuTorch program (.pte) that is all Core ML's.

    Its output, which ExecuTorch takes by its place, is called `embedding` here, as a package's is.
    """
    read = deserialize_pte_binary(program.read_bytes()).program
    (delegate,) = read.execution_plan[0].delegates
    with TemporaryDirectory() as folder:
        executorchcoreml.unflatten_directory_contents(
            read.backend_delegate_data[delegate.processed.index].data, folder
        )
        (package,) = Path(folder).rglob("*.mlpackage")
        found = census(package)
    (given,) = found.gives.values()
    return replace(found, gives={"embedding": given})


def problems(
    found: Census,
    takes: tuple[str, tuple[int, ...]],
    gives: tuple[str, tuple[int, ...]],
    scheme: str,
    *,
    mixed: bool = False,
) -> Iterator[str]:
    """Yield what of a package is not as it should be.

    Args:
        found: what was read.
        takes: dtype and shape of its input.
        gives: of its output.
        scheme: how it should be stored; small layers may stay float.
        mixed: whether others should, which may be most of the weights.
    """
    if found.takes != {"window": takes}:
        yield f"it takes {found.takes}, not window {takes[0]} {list(takes[1])}"
    if found.gives != {"embedding": gives}:
        yield f"it gives {found.gives}, not embedding {gives[0]} {list(gives[1])}"
    if found.system != "CoreML7":
        yield f"it is for {found.system}, not CoreML7 (iOS 17)"
    main = {"fp32": "float32", "fp16": "float16", "int8-weights": "int8"}.get(scheme, scheme)
    if set(found.weights) - {main, "float16", "float32"}:
        yield f"its weights are {dict(found.weights)}, not {main}"
    if not found.weights[main] > (0 if mixed else sum(found.weights.values()) / 2):
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
    return _dtype(operation.outputs[0].type.tensorType)


def _dtype(tensor: Any) -> str:  # noqa: ANN401 - as above
    name: str = MIL_pb2.DataType.Name(tensor.dataType)
    return name.lower()


def _feature(feature: Any) -> tuple[str, tuple[str, tuple[int, ...]]]:  # noqa: ANN401 - a protobuf message
    array = feature.type.multiArrayType
    dtype: str = (
        type(array).ArrayDataType.Name(array.dataType) if hasattr(type(array), "ArrayDataType") else ""
    )
    return feature.name, (dtype.lower(), tuple(array.shape))
