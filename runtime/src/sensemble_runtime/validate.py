"""What a manifest may not say, though it has the fields and the types that `manifest` declares."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sensemble_sensors.spec import InputSpec

from sensemble_runtime import subsets

if TYPE_CHECKING:  # which has what it reads and writes checked here
    from sensemble_runtime.manifest import FileEntry, Manifest, Provenance

_DTYPE_AND_RANK = {"audio": ("float32", 2), "text": ("int64", 2), "video": ("uint8", 5)}
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"  # portable to every file system; no segment can be `..` or `.`
_PATH = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def path_problems(manifest: "Manifest") -> Iterator[str]:
    """Yield which paths leave the bundle or are not portable, each after its field's name."""
    paths = [(field, file.path) for field, file in _files(manifest)]
    for field, name in (*paths, *((field, artifact.path) for field, artifact in manifest.artifacts())):
        if not _PATH.fullmatch(name):
            yield f"{field}.path: {name!r} is not a relative path of plain names inside the bundle"


def problems(manifest: "Manifest") -> Iterator[str]:
    """Yield what is wrong, after the field's name, where the types cannot say it."""
    if not manifest.modalities:
        yield "modalities: there is none"
    for modality, entry in manifest.modalities.items():
        if not entry.artifacts:
            yield f"modalities.{modality}.artifacts: there is none"
        for problem in _spec_problems(modality, entry.spec):
            yield f"modalities.{modality}.spec: {problem}"
    if manifest.embedding < 1:
        yield f"embedding: expected at least 1, got {manifest.embedding}"
    if not manifest.labels or not all(manifest.labels) or len(set(manifest.labels)) != len(manifest.labels):
        yield "labels: expected distinct names, at least one"
    for modality in manifest.held_out.keys() - manifest.modalities.keys():
        yield f"held_out.{modality}: has no encoder here"
    if "text" in manifest.modalities and manifest.tokenizer is None:
        yield "tokenizer: missing, and there is a text encoder"
    yield from _file_problems(manifest)
    yield from _provenance_problems(manifest.provenance, set(manifest.modalities))


def _files(manifest: "Manifest") -> "Iterator[tuple[str, FileEntry]]":
    """Yield every file in the bundle and beside it."""
    yield from manifest.files()
    for modality, file in manifest.held_out.items():
        yield f"held_out.{modality}", file


def _file_problems(manifest: "Manifest") -> Iterator[str]:
    for field, file in _files(manifest):
        if file.bytes < 1:
            yield f"{field}.bytes: expected at least 1, got {file.bytes}"
        if not _SHA256.fullmatch(file.sha256):
            yield f"{field}.sha256: expected 64 lower-case hexadecimal digits"
    for field, artifact in manifest.artifacts():
        paths = [file.path for file in artifact.files]
        if paths != [artifact.path] and not (paths and all(_inside(artifact.path, path) for path in paths)):
            yield f"{field}.files: expected {artifact.path} itself or files in it"


def _inside(folder: str, path: str) -> bool:
    return path.startswith(f"{folder}/")


def _spec_problems(modality: str, spec: InputSpec) -> Iterator[str]:
    if modality not in _DTYPE_AND_RANK or spec.modality != modality:
        yield f"expected a spec of {', '.join(_DTYPE_AND_RANK)} under its own name, got {spec.modality!r}"
        return
    if (
        (spec.dtype, len(spec.shape)) != _DTYPE_AND_RANK[modality]
        or spec.shape[0] != 1
        or min(spec.shape) < 1
    ):
        dtype, rank = _DTYPE_AND_RANK[modality]
        yield f"expected {dtype} of {rank} dimensions, the first 1, got {spec.dtype} {list(spec.shape)}"
    if modality == "video" and spec.shape[-1] != 3:
        yield f"expected RGB, 3 in the last dimension, got {list(spec.shape)}"
    times = (spec.rate, spec.window, spec.hop)
    if spec.ttl <= 0 or min(times) < 0 or (modality != "text" and min(times) <= 0):
        yield "expected rate, window, hop and ttl above 0 (for text, only ttl)"


def _provenance_problems(provenance: "Provenance", modalities: set[str]) -> Iterator[str]:
    if not set(provenance.train_modalities) <= modalities:
        yield "provenance.train_modalities: names a modality that has no encoder here"
    known = {subsets.name(subset) for subset in subsets.subsets(modalities)}
    tables = {f"accuracy_quantized.{t}": scores for t, scores in provenance.accuracy_quantized.items()}
    for name, scores in {"accuracy": provenance.accuracy, **tables}.items():
        for subset, score in scores.items():
            if subset not in known:
                yield f"provenance.{name}.{subset}: not a sorted set of {', '.join(sorted(modalities))}"
            if not 0 <= score <= 1:
                yield f"provenance.{name}.{subset}: expected a fraction in [0, 1], got {score}"
