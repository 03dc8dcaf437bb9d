"""The contents of a bundle's `manifest.json` as dataclasses: encoders, head, labels and provenance."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from sensemble_sensors.spec import InputSpec

from sensemble_runtime.subsets import Share, SubsetScore

SCHEMA = 8
FILE_NAME = "manifest.json"

BROWSER = "onnx-web"
"""The target of ONNX artifacts as browsers run them: the same files, measured there."""

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
    """The agreement of an artifact with its float encoder on held-out windows.

    Attributes:
        cosine: the mean cosine similarity of the embeddings.
        max_error, mean_error: of the absolute differences between elements.
        agreement: the fraction of windows that the head, on this modality alone, classifies the same.
    """

    cosine: float
    max_error: float
    mean_error: float
    windows: int
    agreement: float


@dataclass(frozen=True, slots=True)
class Artifact:
    """An encoder in the format of one executor.

    Attributes:
        path: the file, or the folder of a Core ML package; relative to the bundle's folder, with `/`.
        files: the file at `path`, or every file in that folder.
        parity: None until a machine that can run the artifact has measured it (for Core ML,
            `sensemble export verify` on a Mac), as are the next two.
        latency_ms: median milliseconds per window.
        peak_mb: peak resident megabytes (10^6 bytes) of a process that runs it alone.
    """

    path: str
    files: tuple[FileEntry, ...]
    scheme: Scheme
    parity: Parity | None
    latency_ms: float | None
    peak_mb: float | None

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
    """The origin of a bundle.

    Attributes:
        train_modalities: M_T.
        accuracy: of the float model, a fraction, by subset.
        accuracy_quantized: of this bundle, by target and subset; only for targets that were run.
        float_bytes: the size of the float encoder for the bundle's first target, by modality.
        float_latency_ms: its median milliseconds per window; only if that target was run.
        created: ISO 8601.
        tools: the version of each package that made the artifacts.
    """

    train_modalities: tuple[str, ...]
    method: str
    dataset: str
    accuracy: dict[str, Share]
    accuracy_quantized: dict[str, dict[str, Share]]
    float_bytes: dict[str, int]
    float_latency_ms: dict[str, float]
    created: str
    tools: dict[str, str]


@dataclass(frozen=True, slots=True)
class SubsetCalibration:
    """The calibration of one subset of modalities; see `bundle.judge`.

    Attributes:
        temperature: divides the logits; 1 where there were too few examples to fit it.
        power: of the confidence, which scales the logits (`head.scaled`); 0 in a multi-label task.
        threshold: a class is a candidate if its probability is at least this share of the largest
            one (multi-class), or at least this (multi-label). 0: every class is one, for too few groups.
        examples: of `calibrate`, with all modalities of the subset, all familiar; in so many `groups`.
    """

    temperature: Annotated[float, (1e-2, 1e2)]
    power: Annotated[float, (0, 4)]
    threshold: Share
    examples: int
    groups: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The numbers that make a bundle's probabilities trustworthy, fitted on the split `calibrate`.

    Attributes:
        alpha: the share of candidate sets that may lack the truth.
        floor: the least confidence of a sure answer.
        subsets: by subset; without examples it is absent, and every class is a candidate.
        familiar: by modality, the score (`head.Familiarity`) below which a window is unfamiliar. Without
            enough held-out windows it is absent, and all windows are familiar.
    """

    alpha: Annotated[float, (1e-6, 1 - 1e-6)]
    floor: Share
    subsets: dict[str, SubsetCalibration]
    familiar: dict[str, Annotated[float, (-1e4, 1e4)]]


def groups_needed(alpha: float) -> int:
    """Return the least number of groups whose scores set a conformal threshold: 9 for an alpha of 0.1."""
    return math.ceil(round(1 / alpha, 9)) - 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole `manifest.json`.

    Attributes:
        embedding: d, the length of every encoder's output.
        labels: the C classes, in the order of the head's rows.
        task: `multi-class` (softmax) or `multi-label` (sigmoid).
        tokenizer: `tokenizer.json`, if there is a text encoder.
        held_out: by modality, a safetensors file in `held-out-windows-of-BUNDLE`, next to the bundle, with
            `windows` [N, ...] and their float `embeddings` float32 [N, d], to measure parity anywhere.
        audited: the score on the split eval, by subset, of the first target that the exporting machine runs.
    """

    schema: int
    modalities: dict[str, ModalityEntry]
    embedding: Annotated[int, (1, 65_536)]
    labels: tuple[str, ...]
    task: Task
    head: FileEntry
    tokenizer: FileEntry | None
    held_out: dict[str, FileEntry]
    provenance: Provenance
    calibration: Calibration
    audited: dict[str, SubsetScore]

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
