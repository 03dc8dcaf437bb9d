"""Checks of a manifest beyond its types: portable paths, consistent specs, and limits on sizes."""

import re
from collections.abc import Iterable, Iterator

from sensemble_sensors.errors import SpecError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import InputSpec

from sensemble_runtime.bundle.manifest import (
    FileEntry,
    Manifest,
    ModalityCalibration,
    Provenance,
    SparingCalibration,
    Task,
)

_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"  # portable to every file system; no segment can be `..` or `.`
_PATH = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_TARGET = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")

# Limits on what an untrusted bundle may ask for, each far above the needs of our encoders.
_LABELS = 100_000
_FILES = 4096  # of an artifact
_FILE = 4 << 30  # bytes of one file, which is loaded into memory
_ALL = 16 << 30  # bytes of all files, which are hashed on opening
_TOKENIZER = 64 << 20  # bytes
_MEANS = 16  # of each class, by which familiarity judges
_HEADER = 1 << 16  # bytes of a head other than its numbers


def path_problems(manifest: Manifest) -> Iterator[str]:
    """Yield a line, `FIELD: problem`, for each path that leaves the bundle or is not portable."""
    paths = [(field, file.path) for field, file in _files(manifest)]
    for field, name in (*paths, *((field, artifact.path) for field, artifact in manifest.artifacts())):
        if not _PATH.fullmatch(name):
            yield f"{field}.path: {name!r} is not a relative path of plain names inside the bundle"


def problems(manifest: Manifest) -> Iterator[str]:
    """Yield a line, `FIELD: problem`, for each fault that the types do not exclude."""
    if not manifest.modalities:
        yield "modalities: there is none"
    for modality, entry in manifest.modalities.items():
        if not entry.artifacts:
            yield f"modalities.{modality}.artifacts: there is none"
        yield from _target_problems(f"modalities.{modality}.artifacts", entry.artifacts)
        for problem in _spec_problems(modality, entry.spec):
            yield f"modalities.{modality}.spec: {problem}"
        if manifest.tokenizer is None and kind_of(entry.spec).tokenized:
            yield f"tokenizer: missing, and there is a {modality} encoder"
    if not manifest.labels or not all(manifest.labels) or len(set(manifest.labels)) != len(manifest.labels):
        yield "labels: expected distinct names, at least one"
    if len(manifest.labels) > _LABELS:
        yield f"labels: expected at most {_LABELS}, got {len(manifest.labels)}"
    for modality in manifest.held_out.keys() - manifest.modalities.keys():
        yield f"held_out.{modality}: has no encoder here"
    yield from _file_problems(manifest)
    yield from _provenance_problems(manifest.provenance, set(manifest.modalities))
    yield from _calibration_problems(manifest)


def _target_problems(field: str, targets: Iterable[str]) -> Iterator[str]:
    for target in targets:
        if not _TARGET.fullmatch(target):
            yield f"{field}.{target}: expected a target's name, such as executorch-xnnpack or onnx"


def _files(manifest: Manifest) -> Iterator[tuple[str, FileEntry]]:
    yield from manifest.files()
    for modality, file in manifest.held_out.items():
        yield f"held_out.{modality}", file


def _file_problems(manifest: Manifest) -> Iterator[str]:
    rows = len(manifest.labels) + len(manifest.modalities) * (2 + _MEANS * len(manifest.labels))
    head = 4 * rows * (manifest.embedding + 1) + _HEADER
    most = {"head": min(head, _FILE), "tokenizer": _TOKENIZER}
    for field, file in _files(manifest):
        if not 1 <= file.bytes <= most.get(field, _FILE):
            yield f"{field}.bytes: expected 1 to {most.get(field, _FILE)}, got {file.bytes}"
        if not _SHA256.fullmatch(file.sha256):
            yield f"{field}.sha256: expected 64 lower-case hexadecimal digits"
    if sum(file.bytes for file in {file for _, file in _files(manifest)}) > _ALL:
        yield f"modalities: all files together have more than {_ALL} bytes"
    for field, artifact in manifest.artifacts():
        if len(artifact.files) > _FILES:
            yield f"{field}.files: expected at most {_FILES}, got {len(artifact.files)}"
        paths = [file.path for file in artifact.files]
        inside = [path.startswith(f"{artifact.path}/") for path in paths]
        if paths != [artifact.path] and not (paths and all(inside)):
            yield f"{field}.files: expected {artifact.path} itself or files in it"


def _spec_problems(modality: str, spec: InputSpec) -> Iterator[str]:
    if spec.modality != modality:
        yield f"expected a spec under its own name, got {spec.modality!r}"
        return
    try:
        yield from kind_of(spec).spec_problems(spec)
    except SpecError as error:
        yield str(error)


def _provenance_problems(provenance: Provenance, modalities: set[str]) -> Iterator[str]:
    if not set(provenance.train_modalities) <= modalities:
        yield "provenance.train_modalities: names a modality that has no encoder here"
    yield from _target_problems("provenance.accuracy_quantized", provenance.accuracy_quantized)
    tables = {f"accuracy_quantized.{t}": scores for t, scores in provenance.accuracy_quantized.items()}
    for name, scores in {"accuracy": provenance.accuracy, **tables}.items():
        yield from _subset_problems(f"provenance.{name}", scores, modalities)


def _calibration_problems(manifest: Manifest) -> Iterator[str]:
    calibration, modalities = manifest.calibration, set(manifest.modalities)
    for modality, entry in calibration.modalities.items():
        yield from _modality_problems(f"calibration.modalities.{modality}", entry, manifest.task)
    for modality in calibration.modalities.keys() - modalities:
        yield f"calibration.modalities.{modality}: has no encoder here"
    for modality in calibration.familiar.keys() - modalities:
        yield f"calibration.familiar.{modality}: has no encoder here"
    if calibration.prior is not None and len(calibration.prior) != len(manifest.labels):
        yield f"calibration.prior: expected {len(manifest.labels)} shares, one of each label"
    if calibration.sparing is not None:
        yield from _sparing_problems(calibration.sparing, modalities)
    yield from _subset_problems("audited", manifest.audited, modalities)
    for subset, score in manifest.audited.items():
        if not score.low <= score.accuracy <= score.high or not score.n:
            yield f"audited.{subset}: expected low <= accuracy <= high and n >= 1, got {score}"


def _sparing_problems(sparing: SparingCalibration, modalities: set[str]) -> Iterator[str]:
    places = sparing.order
    if len(places) < 2 or sorted(m for place in places for m in place) != sorted(modalities):
        yield "calibration.sparing.order: expected each modality once, in two places or more"
    if not all(places) or not len(places) == len(sparing.costs) == len(sparing.on):
        yield "calibration.sparing.costs: expected a cost and a share for each place, and no empty place"


def _subset_problems(field: str, named: Iterable[str], modalities: set[str]) -> Iterator[str]:
    for subset in named:
        parts = subset.split("+")
        if parts != sorted({*parts} & modalities):
            yield f"{field}.{subset}: not a sorted set of {', '.join(sorted(modalities))}"


def _modality_problems(field: str, entry: ModalityCalibration, task: Task) -> Iterator[str]:
    if entry.power and task == "multi-label":
        yield f"{field}.power: expected 0 in a multi-label task, got {entry.power}"
    if not 0 <= entry.groups <= entry.examples:
        yield f"{field}.groups: expected 0 to {entry.examples}, the number of examples, got {entry.groups}"
