"""The targets of an export, the quantization schemes of each, and the plan of the artifacts to make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import get_args

from sensemble_runtime.bundle.manifest import Scheme
from sensemble_sensors.libraries import plugin

from sensemble_export.errors import SchemeError

FLOAT: Scheme = "fp32"  # the scheme that quantizes nothing, which every target has


@dataclass(frozen=True, slots=True)
class Target:
    """A format of an encoder, for one executor."""

    schemes: tuple[Scheme, ...]  # with FLOAT
    default: Scheme
    suffix: str  # of the file or folder
    tools: tuple[str, ...]  # packages besides torch whose version determines the artifact
    lower: tuple[str, str]  # module and function: (encoder, windows [N, ...], scheme) -> Lowered


TARGETS = {
    "executorch-xnnpack": Target(
        ("fp32", "int8-dynamic", "int8-static", "int4-weights"),
        "int8-dynamic",
        ".pte",
        ("executorch", "torchao"),
        ("sensemble_export.lowering.to_executorch", "to_executorch"),
    ),
    "onnx": Target(
        ("fp32", "int8-dynamic", "int8-static", "int8-weights"),
        "int8-dynamic",
        ".onnx",
        ("onnx", "onnxruntime", "onnxscript"),
        ("sensemble_export.lowering.to_onnx", "to_onnx"),
    ),
    "coreml": Target(
        ("fp32", "fp16", "int8-weights", "palette-6bit", "palette-4bit"),  # floats store and compute
        "int8-weights",
        ".mlpackage",
        ("coremltools",),
        ("sensemble_export.lowering.to_coreml", "to_coreml"),
    ),
}


@dataclass(frozen=True, slots=True)
class Delegation:
    """The parts of an ExecuTorch program that its delegate and ExecuTorch's own kernels run."""

    subgraphs: int  # parts that XNNPACK runs; one is best, as data is copied between parts
    delegated: dict[str, int]  # operations in them, by name
    remaining: dict[str, int]  # operations of ExecuTorch's own kernels, by name


@dataclass(frozen=True, slots=True)
class Lowered:
    """An encoder in the format of one executor: its files, and the division of an ExecuTorch program.

    `files` has the bytes by path; the path of a single file is empty.
    """

    files: dict[str, bytes]
    delegation: Delegation | None = None

    @property
    def bytes(self) -> int:
        """The total size."""
        return sum(map(len, self.files.values()))


GROUP = "sensemble.targets"  # entry points of installed packages: the name of a target, and a `Target`


@cache
def target_of(name: str) -> Target:
    """Return a target: ours, or that of an installed package; SchemeError if there is none, or it fails."""
    found: Target | None = TARGETS.get(name) or plugin(GROUP, name, SchemeError, kind=Target)
    if found is None:
        names = *TARGETS, *(entry.name for entry in entry_points(group=GROUP))
        raise SchemeError(f"unknown target {name!r}; there is {', '.join(names)}")
    return found


INT4_GROUP = 32  # weights in a row that share a scale in int4; XNNPACK takes multiples of 32
INT4_LEAST = 2**16  # weights below which a linear layer is not int4: it would save less than 32 kB
COREML_LEAST = 512  # weights below which Core ML quantizes none: scales or palette would cost more


def is_int4(scheme: Scheme, rows: int, columns: int) -> bool:
    """Tell whether `scheme` stores a linear layer of `rows` outputs and `columns` inputs in int4."""
    return scheme == "int4-weights" and columns % INT4_GROUP == 0 and rows * columns >= INT4_LEAST


def needs_ranges(scheme: Scheme) -> bool:
    """Tell whether `scheme` may take ranges from calibration; XNNPACK's convolutions do in all of these."""
    return scheme in {"int8-static", "int8-dynamic", "int4-weights"}


@dataclass(frozen=True, slots=True)
class Job:
    """An artifact to make; raises SchemeError if the target does not have the scheme."""

    modality: str
    target: str
    scheme: Scheme

    def __post_init__(self) -> None:
        target = target_of(self.target)
        if self.scheme not in target.schemes:
            raise SchemeError(f"{self.target} has {', '.join(target.schemes)}, not {self.scheme}")

    @property
    def file(self) -> str:
        """The artifact's file name, unique among the jobs of a model."""
        return f"{self.modality}.{self.target}.{self.scheme}{target_of(self.target).suffix}"


def plan(
    modalities: Sequence[str], targets: Sequence[str] = ("executorch-xnnpack",), chosen: Iterable[str] = ()
) -> list[Job]:
    """Return the jobs for a user's choice: each modality for each target.

    Each of `chosen` is `[TARGET:]MODALITY=SCHEME`; one that names its target takes precedence. Modalities
    without a choice have the target's default.

    Raises:
        SchemeError: a target, a modality or a scheme is unknown, the target does not have the scheme, or
            something is named twice.
    """
    for target in targets:
        target_of(target)
        if targets.count(target) > 1:
            raise SchemeError(f"--target names {target} twice; name it once")
    schemes: dict[tuple[str, str], Scheme] = {}
    made: dict[str, str] = {}
    for choice in sorted(chosen, key=lambda text: ":" in text):
        where, _, scheme = choice.partition("=")
        target, _, modality = where.rpartition(":")
        if not scheme:
            raise SchemeError(f"--scheme {choice}: says no scheme; write [TARGET:]MODALITY=SCHEME")
        _known("modality", modality, modalities)
        _known("scheme", scheme, get_args(Scheme))
        if where in made:
            raise SchemeError(f"--scheme {made[where]} {choice}: two schemes for {where}; choose one of them")
        made[where] = choice
        for one in [target] if target else targets:
            known = target_of(one)
            if one not in targets:
                raise SchemeError(
                    f"--scheme {choice}: {one} is not exported; add it to --target {' '.join(targets)}"
                )
            if scheme not in known.schemes:
                raise SchemeError(
                    f"--scheme {choice}: {one} has {', '.join(known.schemes)}; choose one of these"
                    + ("" if target else f", or say for which target: TARGET:{choice}")
                )
            schemes[one, modality] = scheme
    return [Job(m, t, schemes.get((t, m), target_of(t).default)) for t in targets for m in modalities]


_CORE_ML = {"uint8": "float32", "int64": "int32", "float32": "float32"}  # Core ML has no uint8 and no int64


def input_dtype(dtype: str, target: str) -> str:
    """Return the dtype that an artifact for `target` takes for windows of `dtype`; the values are equal."""
    return _CORE_ML[dtype] if target == "coreml" else dtype


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise SchemeError(f"unknown {kind} {name!r}; there is {', '.join(names)}")
