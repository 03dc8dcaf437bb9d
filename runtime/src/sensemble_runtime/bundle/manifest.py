"""The bundle's `manifest.json`: what each encoder takes, where its artifacts lie, where all came from."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sensemble_sensors import durable
from sensemble_sensors.spec import InputSpec

from sensemble_runtime.bundle import files, signature, validate
from sensemble_runtime.bundle.migrate import migrate
from sensemble_runtime.bundle.strict_json import DecodeError, decode, document
from sensemble_runtime.errors import BundleCorruptError, BundleIncompatibleError, BundlePathError

SCHEMA = 3
FILE_NAME = "manifest.json"
_LARGEST = 16 << 20  # bytes; one with 100,000 labels has 3 MB

Task = Literal["multi-class", "multi-label"]
Scheme = Literal[
    "fp32",
    "fp16",
    "int8-dynamic",
    "int8-static",
    "int8-weights",
    "int4-weights",
    "palette-6bit",
    "palette-4bit",
]
"""How an encoder is quantized.

`int8-dynamic`: int8 weights, activations int8 with ranges found as it runs; `int8-static`: ranges from
calibration. `int8-weights`: activations stay float. `int4-weights`: int4 in groups of a row, activations as
in `int8-dynamic`. `palette-...`: each weight an index into a table of 2^6 or 2^4 values.
"""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the bundle: `path` relative to its folder, with `/`; size; SHA-256 in lower-case hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Parity:
    """How close an artifact's embeddings came to the float encoder's on held-out windows.

    Attributes:
        cosine: the mean cosine similarity.
        max_error: the largest absolute difference of an element.
        mean_error: the mean absolute difference of the elements.
        windows: how many windows were compared.
        agreement: the fraction of them that the head, on this modality alone, classifies the same; a bundle
            of schema version 1 does not say.
    """

    cosine: float
    max_error: float
    mean_error: float
    windows: int
    agreement: float | None


@dataclass(frozen=True, slots=True)
class Artifact:
    """One encoder in one executor's form.

    Attributes:
        path: of the file, or of the folder (a Core ML package); relative to the bundle's folder, with `/`.
        files: the file at `path`, or every file in that folder.
        scheme: how it is quantized.
        kept: names of the layers that stay float, because quantizing them hurts.
        parity: against the float encoder, where an executor could run it; for Core ML, after `sensemble
            export verify` on a Mac. None means that it is unproved.
        latency_ms: median milliseconds a window on the machine that measured parity.
        peak_mb: peak resident megabytes (10^6 bytes) of a process that runs it alone, where it was measured.
        differs: what in its bytes another export of the same model, windows and scheme, with the same tools,
            would make otherwise; None: nothing.
    """

    path: str
    files: tuple[FileEntry, ...]
    scheme: Scheme
    kept: tuple[str, ...]
    parity: Parity | None
    latency_ms: float | None
    peak_mb: float | None
    differs: str | None

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class ModalityEntry:
    """One modality: what its encoder takes, and the encoder for each target (`executorch-xnnpack`, ...)."""

    spec: InputSpec
    artifacts: dict[str, Artifact]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bundle came from; sets of modalities are written as in `sensemble_runtime.subsets`.

    Attributes:
        train_modalities: M_T, the modalities that the classifier was trained on.
        method: `finetune`, `masd+wiseft`, ...
        dataset: its name.
        accuracy: of the float model, as a fraction, by subset.
        accuracy_quantized: of this bundle, as a fraction, by target and subset, for targets that were run.
        float_bytes: the size of the float encoder for the bundle's first target, by modality.
        float_latency_ms: its median milliseconds a window, by modality, if that target was run.
        created: when, ISO 8601.
        tools: the version of each package that made the artifacts; a bundle of schema version 1 or 2 does
            not say.
    """

    train_modalities: tuple[str, ...]
    method: str
    dataset: str
    accuracy: dict[str, float]
    accuracy_quantized: dict[str, dict[str, float]]
    float_bytes: dict[str, int]
    float_latency_ms: dict[str, float]
    created: str
    tools: dict[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole `manifest.json`.

    Attributes:
        schema: the version of this format, `SCHEMA`.
        modalities: by name: `audio`, `text`, `video`.
        embedding: d, the length of every encoder's output.
        labels: the C classes, in the order of the head's rows.
        task: `multi-class` (softmax) or `multi-label` (sigmoid).
        head: `head.safetensors`.
        tokenizer: `tokenizer.json`; a bundle with text has one.
        held_out: by modality, safetensors in the folder `BUNDLE.held_out` beside the bundle, which need not
            ship: a few held-out windows (`windows` [N, ...]), recordings, and what the float encoder makes
            of them (`embeddings` float32 [N, d]), with which any machine can measure parity.
        provenance: where it came from.
    """

    schema: int
    modalities: dict[str, ModalityEntry]
    embedding: int
    labels: tuple[str, ...]
    task: Task
    head: FileEntry
    tokenizer: FileEntry | None
    held_out: dict[str, FileEntry]
    provenance: Provenance

    def files(self) -> Iterator[tuple[str, FileEntry]]:
        """Yield every file that the bundle must hold, with its field in the manifest."""
        yield "head", self.head
        if self.tokenizer is not None:
            yield "tokenizer", self.tokenizer
        for field, artifact in self.artifacts():
            for index, file in enumerate(artifact.files):
                yield f"{field}.files[{index}]", file

    def artifacts(self) -> Iterator[tuple[str, Artifact]]:
        """Yield every artifact, with its field in the manifest."""
        for modality, entry in self.modalities.items():
            for target, artifact in entry.artifacts.items():
                yield f"modalities.{modality}.artifacts.{target}", artifact


def read_manifest(path: Path, trust: Path | None = None) -> Manifest:
    """Read and check a `manifest.json`; the files it names are not looked at.

    One of schema version 1 or 2 is read as if it had been written today.

    Args:
        path: the file.
        trust: the PEM file of a public key that must have signed it; None: none need have.

    Raises:
        BundleCorruptError: the file is missing or not what the format says; names the field.
        BundleIncompatibleError: it is of a schema version that is not known here.
        BundlePathError: a path in it is absolute, has `..`, or is not portable.
        BundleUntrustedError, KeyFileError: that key did not sign it, or is none.
    """
    return parse_manifest(read_data(path, trust), path)


def read_data(path: Path, trust: Path | None = None) -> bytes:
    """Return the bytes of a `manifest.json`, signed by the key in the PEM file `trust`.

    Raises:
        BundleCorruptError: there is no such file, or it is far too large for one.
        BundleUntrustedError, KeyFileError: as `read_manifest`.
    """
    try:
        with files.regular(path) as file:
            data = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleCorruptError(f"{path.parent}: there is no bundle there; {_meant(path)}") from error
    except OSError as error:
        raise BundleCorruptError(f"{path}: cannot be read ({error}); export the bundle again") from error
    if len(data) > _LARGEST:
        raise BundleCorruptError(f"{path}: above {_LARGEST >> 20} MB; give the folder of a bundle")
    if trust is not None:
        signature.check(data, path, trust)
    return data


def parse_manifest(data: bytes, path: Path) -> Manifest:
    """Check the bytes of a `manifest.json`; `path` is for the error.

    Raises:
        BundleCorruptError, BundleIncompatibleError, BundlePathError: as `read_manifest`.
    """
    try:
        return _parse(data.decode(), path)
    except UnicodeDecodeError as error:
        raise BundleCorruptError(f"{path}: cannot be read ({error}); export the bundle again") from error


def _meant(path: Path) -> str:
    """Return what to give instead of a folder that has no `manifest.json`, such as a run's."""
    inside = path.parent / "bundle"
    if (inside / path.name).exists():
        return f"did you mean {inside}?"
    return f"give the folder of one, with its {path.name}"


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write `manifest` as JSON, whole or not at all, after checking that `read_manifest` will accept it.

    Raises:
        BundleCorruptError, BundleIncompatibleError, BundlePathError: as `read_manifest`.
    """
    text = json.dumps(dataclasses.asdict(manifest), indent=2, ensure_ascii=False) + "\n"
    _parse(text, path)
    durable.write(path, text.encode())


def _parse(text: str, path: Path) -> Manifest:
    try:
        raw = migrate(document(text))
        _check_schema(raw, path)
        manifest: Manifest = decode(Manifest, raw)
    except DecodeError as error:
        raise BundleCorruptError(f"{path}: {error}; export the bundle again") from error
    outside = next(validate.path_problems(manifest), None)
    if outside is not None:
        raise BundlePathError(f"{path}: {outside}")
    problem = next(validate.problems(manifest), None)
    if problem is not None:
        raise BundleCorruptError(f"{path}: {problem}; export the bundle again")
    return manifest


def _check_schema(raw: object, path: Path) -> None:
    # Another version may differ anywhere else, so its number is all that is read of it.
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, int) and not isinstance(schema, bool) and schema != SCHEMA:
        raise BundleIncompatibleError(
            f"{path}: schema: version {schema}, and this sensemble-runtime reads versions 1 to {SCHEMA}; "
            "export the bundle again, or install the version that wrote it"
        )
