"""What an encoder can be exported to: targets, the schemes of each, and which are chosen for whom."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from sensemble_runtime.bundle.manifest import Scheme

from sensemble_export.errors import SchemeError
from sensemble_export.parity import FLOATS


@dataclass(frozen=True, slots=True)
class Target:
    """A form of an encoder.

    Attributes:
        schemes: what it can be quantized to; the first is float.
        default: the one taken where none is chosen, but see `default`.
        suffix: of the file or folder.
        tools: packages, beside torch, whose version decides what is made.
        bits: that an int8 weight uses.
        differs: what in its bytes is not the same each time; None: nothing.
    """

    schemes: tuple[Scheme, ...]
    default: Scheme
    suffix: str
    tools: tuple[str, ...]
    bits: int = 8
    differs: str | None = None


TARGETS = {
    "executorch-xnnpack": Target(
        ("fp32", "int8-dynamic", "int8-static", "int4-weights"),
        "int8-dynamic",
        ".pte",
        ("executorch", "torchao"),
    ),
    "onnx": Target(
        ("fp32", "int8-dynamic", "int8-static"),
        "int8-dynamic",
        ".onnx",
        ("onnx", "onnxruntime", "onnxscript"),
        bits=7,  # sums of products of 8 bits saturate on x86-64 with AVX2 and without VNNI
    ),
    "coreml": Target(
        ("fp32", "fp16", "int8-weights", "palette-6bit", "palette-4bit"),
        "int8-weights",
        ".mlpackage",
        ("coremltools",),
    ),
    "executorch-coreml": Target(
        ("fp32", "fp16"),
        "fp16",
        ".pte",
        ("executorch", "coremltools"),
        differs="the Core ML package inside has random names and the date",
    ),
}
"""By name. The float scheme of the Core ML targets stores float32; `fp16` computes in it as well.

ExecuTorch's delegate quantizes every constant, a log-mel's too, so for `executorch-coreml` nothing is int8.
"""

INT4_GROUP = 32
"""Weights of a row that share a scale in int4; XNNPACK takes multiples of 32."""
INT4_LEAST = 2**16
"""Weights from which a linear layer is int4 in `int4-weights`; smaller ones would save less than 32 kB."""
COREML_LEAST = 512
"""Weights from which Core ML's are quantized: the scales or palette of fewer would outweigh what it saves."""


def is_int4(scheme: Scheme, rows: int, columns: int) -> bool:
    """Say whether `scheme` stores a linear layer of `rows` outputs and `columns` inputs in int4."""
    return scheme == "int4-weights" and columns % INT4_GROUP == 0 and rows * columns >= INT4_LEAST


def needs_ranges(scheme: Scheme) -> bool:
    """Say whether ranges of `scheme` may come from calibration: in XNNPACK, convolutions' in all of these."""
    return scheme in {"int8-static", "int8-dynamic", "int4-weights"}


@dataclass(frozen=True, slots=True)
class Job:
    """One artifact to make.

    Attributes:
        modality: whose encoder.
        target: for what.
        scheme: how it is quantized.
        kept: names of layers, or of modules that hold some, which stay float.

    Raises:
        SchemeError: the target does not have the scheme, or that quantizes nothing.
    """

    modality: str
    target: str
    scheme: Scheme
    kept: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        target = TARGETS[self.target]
        if self.scheme not in target.schemes:
            raise SchemeError(f"{self.target} has {', '.join(target.schemes)}, not {self.scheme}")
        if self.kept and self.scheme in FLOATS:
            raise SchemeError(f"{self.scheme} quantizes nothing: there is nothing to keep float")

    @property
    def file(self) -> str:
        """The artifact's name, unlike that of any other job of the same model."""
        mark = f"-{hashlib.sha256(' '.join(self.kept).encode()).hexdigest()[:6]}" if self.kept else ""
        return f"{self.modality}.{self.target}.{self.scheme}{mark}{TARGETS[self.target].suffix}"


def plan(modalities: Sequence[str], targets: Sequence[str], chosen: Iterable[str]) -> list[Job]:
    """Return the jobs that a user asks for: each modality for each target.

    Args:
        modalities: the model's.
        targets: names of `TARGETS`.
        chosen: `[TARGET:]MODALITY=SCHEME` each; one that names its target counts more than one that does not,
            and what is chosen by none is the target's default.

    Raises:
        SchemeError: a target, a modality or a scheme is unknown, the target does not have the scheme, or
            something is named twice.
    """
    for target in targets:
        _known("target", target, TARGETS)
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
            _known("target", one, TARGETS)
            if one not in targets:
                raise SchemeError(
                    f"--scheme {choice}: {one} is not exported; add it to --target {' '.join(targets)}"
                )
            if scheme not in TARGETS[one].schemes:
                raise SchemeError(
                    f"--scheme {choice}: {one} has {', '.join(TARGETS[one].schemes)}; choose one of these"
                    + ("" if target else f", or say for which target: TARGET:{choice}")
                )
            schemes[one, modality] = scheme
    return [Job(m, t, schemes.get((t, m), default(m, t))) for t in targets for m in modalities]


def default(modality: str, target: str) -> Scheme:
    """Return the scheme that is taken where none is chosen.

    The delegate of `executorch-coreml` has one precision for all, and a log-mel underflows in float16.
    """
    heard = modality == "audio" and target == "executorch-coreml"
    return "fp32" if heard else TARGETS[target].default


_CORE_ML = {
    "uint8": "float32",
    "int64": "int32",
    "float32": "float32",
}  # it may have neither of the first two


def input_dtype(dtype: str, target: str) -> str:
    """Return what an artifact for `target` takes in place of windows of `dtype`; the values are equal."""
    return _CORE_ML[dtype] if "coreml" in target else dtype


def within(name: str, modules: tuple[str, ...]) -> bool:
    """Say whether the layer `name` is one of `modules` or in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise SchemeError(f"unknown {kind} {name!r}; there is {', '.join(names)}")
