"""The contents of a bundle's `manifest.json` as dataclasses: encoders, head, labels and provenance."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from sensemble_sensors.spec import InputSpec
from sensemble_sensors.strict_json import Count, Share

from sensemble_runtime.scores import SubsetScore

SCHEMA = 10
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
    threads: Annotated[int, (0, 1)] | None = None  # 1, or 0 for one per core where that was well faster

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
    float_bytes: dict[str, int]  # of the encoder's weights in float, by modality
    float_latency_ms: dict[str, float]  # its median per window for the first target, if that was measured
    created: str  # ISO 8601
    tools: dict[str, str]  # the version of each package that made the artifacts
    extends: tuple[str, ...] | None = None  # SHA-256 of its manifests with fewer artifacts: their audits hold


@dataclass(frozen=True, slots=True)
class ModalityCalibration:
    """The numbers that calibrate the opinions of one modality (`head.scaled`)."""

    temperature: Annotated[float, (1e-2, 1e2)]  # 1 where there were too few examples
    power: Annotated[float, (0, 4)]  # of the confidence; 0 if multi-label
    examples: Count  # of the split calibrate, all familiar
    groups: Count


@dataclass(frozen=True, slots=True)
class SetThreshold:
    """The threshold of a set of sensors, and its figures on streams."""

    threshold: Annotated[float, (-30, 30)]  # the log-odds from which a class is going on
    hours: Annotated[float, (1e-6, 1e6)]  # of the streams
    false: Count  # events in them that were none
    found: Share | None  # of their spans; None without one
    weights: dict[str, Annotated[float, (0, 1)]] | None = None  # of its sensors' evidence; None: 1 each

    @property
    def bound(self) -> float:
        """False events an hour that there are at most, with a probability of 95 %, in such streams."""
        return poisson_bound(self.false) / self.hours


@dataclass(frozen=True, slots=True)
class TimelineCalibration:
    """The numbers of the timeline (`engine.timeline`), fitted on the streams of `calibrate`."""

    evidence: Annotated[float, (0.01, 100)]  # windows that a second of overlapping windows counts for
    usual: Annotated[float, (0.1, 86_400)]  # seconds that a class lasts
    dwell: dict[str, Annotated[float, (0.1, 86_400)]]  # of a class, where its spans say so
    asked: Annotated[float, (1e-6, 1e6)]  # false events an hour that were asked for
    sets: dict[str, SetThreshold]  # by set of sensors, joined with `+`; at least one

    @property
    def found(self) -> float:
        """The share of the moments that is found, on average of the sets."""
        shares = [one.found for one in self.sets.values() if one.found is not None]
        return sum(shares) / len(shares) if shares else 0.0

    def threshold(self, sensors: Iterable[str]) -> float:
        """Return the threshold of a live set; of one that was not fitted, the highest."""
        own = self.sets.get("+".join(sorted(sensors)))
        return max(one.threshold for one in self.sets.values()) if own is None else own.threshold

    def weights(self, sensors: Iterable[str]) -> dict[str, float]:
        """Return how far the evidence of each sensor of a live set counts, if not in full."""
        own = self.sets.get("+".join(sorted(sensors)))
        return {} if own is None or own.weights is None else own.weights

    @property
    def promise(self) -> str:
        """The promise about false events, and its price, in words."""
        most = max(self.sets.values(), key=lambda one: one.bound)
        every = self.sets[max(self.sets, key=lambda name: name.count("+"))]
        price = "" if every.found is None else f"; {100 * every.found:.0f} % of the moments are found"
        if most.bound <= self.asked * (1 + 1e-9):
            return f"promised: at most {self.asked:g} false events an hour, by {most.hours:.1f} hours{price}"
        needed = poisson_bound(0) / self.asked
        hours = f"{most.false} in {most.hours:.2g}" if most.false else f"{most.hours:.2g} of the {needed:.2g}"
        why = f"{hours} hours" if most.false else f"{hours} hours needed"
        return f"promised to {most.bound:.2g} false events an hour, not {self.asked:g}: {why}{price}"


@dataclass(frozen=True, slots=True)
class SparingCalibration:
    """The numbers of sparing (`engine.sparing`), fitted by running it over `calibrate`.

    The shares are those of its answers there, and those of `every` sensor on.
    """

    order: tuple[
        tuple[str, ...], ...
    ]  # modalities that sleep together, from the cheapest on; the first never
    costs: tuple[Annotated[float, (0, 1e6)], ...]  # of each place while it is on
    wake: Annotated[float, (0, 2)]  # the confidence below which the next sensor is needed; above 1, always
    hold: Annotated[float, (0.1, 3600)]  # seconds that a sensor stays after it was needed
    threshold: Annotated[float, (1e-6, 2)]  # the confidence from which an answer is sure
    groups: Count  # people that the threshold rests on
    hours: Annotated[float, (0, 1e6)]  # of virtual time
    recordings: bool  # whether the examples followed each other in recordings; else each was a scene
    on: tuple[Share, ...]  # of the time, by place in `order`
    right: Share
    sure: Share
    sure_wrong: Share
    every_right: Share
    every_sure: Share
    every_sure_wrong: Share


@cache
def poisson_bound(count: int, level: float = 0.95) -> float:
    """Return the exact upper bound of the mean of a Poisson count: 3.0 where nothing was counted."""
    low, high = 0.0, 10.0 + 4 * count
    for _ in range(60):
        mean = (low + high) / 2
        below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))
        low, high = (mean, high) if below > 1 - level else (low, mean)
    return (low + high) / 2


@dataclass(frozen=True, slots=True)
class Calibration:
    """The numbers of the belief (`engine.belief`), fitted on the split `calibrate`.

    A modality without examples is absent from `modalities`: its opinions are the head's own. One with too few
    held-out windows is absent from `familiar`: all its windows are familiar.
    """

    risk: Annotated[float, (1e-6, 1 - 1e-6)]  # the share of a new group's answers that may be sure and wrong
    threshold: Annotated[float, (1e-6, 2)]  # the confidence from which an answer is sure; above 1, none is
    groups: Count  # people that the threshold rests on: the fewest of a measured subset (`splits.people`)
    redundancy: Share  # how far sensors repeat each other: 0, they err independently; 1, alike
    modalities: dict[str, ModalityCalibration]
    familiar: dict[str, Annotated[float, (-1e4, 1e4)]]  # the least score of a familiar window
    timeline: TimelineCalibration | None = None  # None without streams of the split calibrate
    sparing: SparingCalibration | None = None  # None with one sensor, or several labels at once
    prior: tuple[Annotated[float, (1e-9, 1)], ...] | None = None  # of each class, in every opinion

    @property
    def promised(self) -> bool:
        """True if there are enough groups to promise the risk for a new one."""
        return self.groups >= groups_needed(self.risk)

    @property
    def promise(self) -> str:
        """The promise about sure answers, in words."""
        share, needed = f"{100 * self.risk:g} %", groups_needed(self.risk)
        least = math.floor(1000 * self.threshold) / 10  # never 100 where some are sure
        sure = f"sure from {least:g} % on" if self.threshold <= 1 else "none is sure"
        if self.promised:
            return (
                f"promised: at most {share} of a new person's answers are sure and wrong (from {self.groups} "
                f"people, the groups of the data; {sure})"
            )
        return (
            f"not promised for new people: {self.groups} of the {needed} needed (a group of the data is one, "
            f"takes of one sitting are one, files without a group are none; {sure})"
        )

    @property
    def sparing_promise(self) -> str:
        """The sensors that sleep, what that costs, and the promise, in words; empty where nothing sleeps."""
        one = self.sparing
        if one is None:
            return ""
        slept = (
            f"{'+'.join(m)} {100 * (1 - on):.0f} %" for m, on in zip(one.order[1:], one.on[1:], strict=True)
        )
        return (
            f"with sparing, asleep: {', '.join(slept)} of the time; right {100 * one.right:.1f} instead of "
            f"{100 * one.every_right:.1f} %, sure and wrong {100 * one.sure_wrong:.1f} instead of "
            f"{100 * one.every_sure_wrong:.1f} % ({self.sparing_bound(one.groups)})"
        )

    def sparing_bound(self, groups: int) -> str:
        """Return what sparing fitted on these people promises, in words."""
        needed = groups_needed(self.risk)
        if groups >= needed:
            return f"promised: at most {100 * self.risk:g} % of a new person's answers are sure and wrong"
        return f"not promised for new people: {groups} of the {needed} needed"


def groups_needed(risk: float) -> int:
    """Return the least number of groups on which a risk can be promised: 19 for 0.05."""
    return math.ceil(round(1 / risk, 9)) - 1


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

    @property
    def specs(self) -> dict[str, InputSpec]:
        """The input of each encoder, by modality."""
        return {modality: entry.spec for modality, entry in self.modalities.items()}

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
