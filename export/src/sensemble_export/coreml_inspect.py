"""Inspection of Core ML packages: all that can be checked without a Mac."""

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

from sensemble_export.targets import COREML_LEAST


@dataclass(frozen=True, slots=True)
class PackageSummary:
    """The contents of a Core ML package.

    Attributes:
        inputs: dtype and shape of each input, by name.
        outputs: dtype and shape of each output, by name.
        system: the opset, such as `CoreML7` (iOS 17).
        computes: the number of operations by the dtype of their result, without constants, casts and the
            operations that lead to a logarithm.
        weights: the number of elements of constants with at least `COREML_LEAST` elements, by storage:
            `float16`, `float32`, `int8`, `palette-6bit`, ...
        weight_bytes: the size of the weight file.
    """

    inputs: dict[str, tuple[str, tuple[int, ...]]]
    outputs: dict[str, tuple[str, tuple[int, ...]]]
    system: str
    computes: Counter[str]
    weights: Counter[str]
    weight_bytes: int


def summarize(package: Path) -> PackageSummary:
    """Return the contents of a Core ML package (.mlpackage)."""
    spec = ct.utils.load_spec(str(package))
    ((system, block),) = spec.mlProgram.functions["main"].block_specializations.items()
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
        system,
        computes,
        weights,
        (package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").stat().st_size,
    )


def summarize_program(program: Path) -> PackageSummary:
    """Return the contents of the Core ML package in an ExecuTorch program (.pte) that is all Core ML's.

    Its output, which ExecuTorch finds by position, is named `embedding` here, as in a package.
    """
    with TemporaryDirectory() as folder:
        found = summarize(_unpack(program, Path(folder)))
    (output,) = found.outputs.values()
    return replace(found, outputs={"embedding": output})


def extract(program: Path, folder: Path, dtype: str) -> Path:
    """Extract the Core ML package of an ExecuTorch program that is all Core ML's into the empty `folder`.

    Its metadata then names `dtype`, the dtype of the encoder's windows, for the executor, as in `to_coreml`.
    """
    package = _unpack(program, folder)
    spec = ct.utils.load_spec(str(package))
    spec.description.metadata.userDefined["dtype"] = dtype
    specification(package).write_bytes(spec.SerializeToString(deterministic=True))
    return package


def _unpack(program: Path, folder: Path) -> Path:
    read = deserialize_pte_binary(program.read_bytes()).program
    (delegate,) = read.execution_plan[0].delegates
    data = read.backend_delegate_data[delegate.processed.index].data
    executorchcoreml.unflatten_directory_contents(data, str(folder))
    (package,) = folder.rglob("*.mlpackage")
    return package


def specification(package: Path) -> Path:
    """Return the file of a package that holds everything but its weights."""
    return package / "Data" / "com.apple.CoreML" / "model.mlmodel"


def problems(
    found: PackageSummary,
    window: tuple[str, tuple[int, ...]],
    embedding: tuple[str, tuple[int, ...]],
    scheme: str,
    *,
    mixed: bool = False,
) -> Iterator[str]:
    """Yield the faults of a package.

    Args:
        found: its contents.
        window: the expected dtype and shape of its input.
        embedding: the expected dtype and shape of its output.
        scheme: the expected quantization; small layers may stay float.
        mixed: whether other layers stay float too, perhaps most of the weights.
    """
    if found.inputs != {"window": window}:
        yield f"its input is {found.inputs}, not window {window[0]} {list(window[1])}"
    if found.outputs != {"embedding": embedding}:
        yield f"its output is {found.outputs}, not embedding {embedding[0]} {list(embedding[1])}"
    if found.system != "CoreML7":
        yield f"it is for {found.system}, not CoreML7 (iOS 17)"
    main = {"fp32": "float32", "fp16": "float16", "int8-weights": "int8"}.get(scheme, scheme)
    if set(found.weights) - {main, "float16", "float32"}:
        yield f"its weights are {dict(found.weights)}, not {main}"
    if not found.weights[main] > (0 if mixed else sum(found.weights.values()) / 2):
        yield f"most of its weights are not {main}: {dict(found.weights)}"
    computing = "float32" if scheme == "fp32" else "float16"
    if {dtype for dtype in found.computes if dtype.startswith("float")} != {computing}:
        yield f"it computes in {dict(found.computes)}, not {computing}"
    # The file also holds small constants, scales, zero points and padding to 64 bytes.
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
