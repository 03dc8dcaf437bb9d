"""The contents of a bundle's `manifest.json` as dataclasses: encoders, head, labels and provenance."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from sensemble_sensors.spec import InputSpec

from sensemble_runtime.scores import Share, SubsetScore

SCHEMA = 8
FILE_NAME = "manifest.json"

BROWSER = "onnx-web"  # the target of the same ONNX files as browsers run them, measured there

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
"""The quantization of an encoder.

`int8-dynamic`: int8 weights, and int8 activations whose ranges are computed for each window. `int8-static`:
with ranges from calibration. `int8-weights`: float activations. `int4-weights`: int4 weights in groups of a
row, activations as in `int8-dynamic`. `palette-6bit`, `palette-4bit`: weights are indices into a table.
"""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of the bundle: its path relative to the folder, with `/`; its size; its SHA-256 in hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Parity:
    """The agreement of an artifact with its float encoder on held-out windows."""

    cosine: float  # the mean cosine similarity of the embeddings
    max_error: float  # of the absolute differences between elements
    mean_error: float
    windows: int
    agreement: float  # windows that the head, on this modality alone, classifies the same


@dataclass(frozen=True, slots=True)
class Artifact:
    """An encoder in the format of one executor."""

    path: str  # from the bundle's folder, with `/`; a folder for Core ML
    files: tuple[FileEntry, ...]  # the file at `path`, or every file in that folder
    scheme: Scheme
    parity: Parity | None  # None, like the next two, until a machine that runs it has measured it
    latency_ms: float | None  # the median per window
    peak_mb: float | None  # 10^6 resident bytes of a process that runs it alone

    @property
    def bytes(self) -> int:
        """The total size of its files."""
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class ModalityEntry:
    """A modality: its encoder's input, and the artifact for each target (`executorch-xnnpack`, ...)."""

    spec: InputSpec
    artifacts: dict[str, Artifact]


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of a bundle."""

    train_modalities: tuple[str, ...]  # M_T
    method: str
    dataset: str
    accuracy: dict[str, Share]  # of the float model, by subset
    accuracy_quantized: dict[str, dict[str, Share]]  # by target that was run, and subset
    float_bytes: dict[str, int]  # of the float encoder for the first target, by modality
    float_latency_ms: dict[str, float]  # its median per window, if that target was run
    created: str  # ISO 8601
    tools: dict[str, str]  # the version of each package that made the artifacts


@dataclass(frozen=True, slots=True)
class SubsetCalibration:
    """The calibration of one subset of modalities; see `bundle.judge`.

    `threshold`: a class is a candidate if its probability is at least this share of the largest one
    (multi-class), or at least this (multi-label). 0: every class is one, for too few groups.
    """

    temperature: Annotated[float, (1e-2, 1e2)]  # 1 where there were too few examples
    power: Annotated[float, (0, 4)]  # of the confidence (`head.scaled`); 0 if multi-label
    threshold: Share
    examples: int  # with all modalities of the subset, all familiar
    groups: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The numbers that make a bundle's probabilities trustworthy, fitted on the split `calibrate`.

    A subset without examples is absent: every class is a candidate. A modality with too few held-out windows
    is absent: all its windows are familiar.
    """

    alpha: Annotated[float, (1e-6, 1 - 1e-6)]  # of candidate sets that may lack the truth
    floor: Share  # the least confidence of a sure answer
    subsets: dict[str, SubsetCalibration]
    familiar: dict[str, Annotated[float, (-1e4, 1e4)]]  # the least score of a familiar window


def groups_needed(alpha: float) -> int:
    """Return the least number of groups whose scores set a conformal threshold: 9 for an alpha of 0.1."""
    return math.ceil(round(1 / alpha, 9)) - 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole `manifest.json`.

    `held_out` has by modality a safetensors file in `held-out-windows-of-BUNDLE`, next to the bundle, with
    `windows` [N, ...] and their float `embeddings` float32 [N, d], to measure parity anywhere.
    """

    schema: int
    modalities: dict[str, ModalityEntry]
    embedding: Annotated[int, (1, 65_536)]  # d, the length of every encoder's output
    labels: tuple[str, ...]  # the C classes, in the order of the head's rows
    task: Task
    head: FileEntry
    tokenizer: FileEntry | None  # if there is a text encoder
    held_out: dict[str, FileEntry]
    provenance: Provenance
    calibration: Calibration
    audited: dict[str, SubsetScore]  # on the split eval, of the first target that the exporter runs

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
