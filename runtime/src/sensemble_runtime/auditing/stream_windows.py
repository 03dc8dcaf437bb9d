"""The windows of streams: each is encoded once, as a session's rings make it; then every live set answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sensemble_sensors.degraded import begin, captured
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.kinds.windows import Window
from sensemble_sensors.media.streams import Stream
from sensemble_sensors.spec import InputSpec

from sensemble_runtime.auditing.answers import EvidenceByModality
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.classifier import Classifier, Evidence
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.subsets import Subset

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class StreamWindows:
    """The windows of one modality of a stream: when each ends, float64 [n], and embeddings float32 [n, d]."""

    ends: Floats
    embeddings: NDArray[np.float32]


def windows_of(
    stream: Stream, specs: Mapping[str, InputSpec], conditions: Sequence[Applied] = ()
) -> Iterator[tuple[str, Window]]:
    """Yield each window of a stream with its modality, in the order of their ends."""
    rings = {m: kind_of(spec).windows(spec) for m, spec in specs.items() if m in stream.modalities}
    degradations = {m: begin(conditions, specs[m]) for m in rings}
    for sample in stream.samples({m: captured(conditions, specs[m]) for m in rings}):
        ring = rings[sample.modality]
        ring.push(degradations[sample.modality](sample))
        while (window := ring.pop()) is not None:
            yield sample.modality, window


def encode_stream(
    bundle: Bundle,
    stream: Stream,
    hops: Mapping[str, float] | None = None,
    conditions: Sequence[Applied] = (),
) -> dict[str, StreamWindows]:
    """Encode each window of a stream, by modality; `hops` replace those of the bundle's specs."""
    specs = {m: _hopping(spec, (hops or {}).get(m)) for m, spec in bundle.specs.items()}
    ends = {m: list[float]() for m in specs if m in stream.modalities}
    embeddings = {m: list[NDArray[np.float32]]() for m in ends}
    for m, window in windows_of(stream, specs, conditions):
        ends[m].append(window.time)
        embeddings[m].append(bundle.encode(m, window.data))
    size = bundle.manifest.embedding
    return {
        m: StreamWindows(np.array(ends[m]), np.array(embeddings[m], np.float32).reshape(-1, size))
        for m in ends
    }


def _hopping(spec: InputSpec, hop: float | None) -> InputSpec:
    return spec if not hop or not spec.hop else replace(spec, hop=hop, ttl=max(spec.ttl, hop))


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The moments at which a live set answers.

    Attributes:
        times: float64 [T], when a window ends.
        rows: by modality, int [T], its newest window at each moment; -1 where it is not live.
    """

    times: Floats
    rows: dict[str, NDArray[np.intp]]


def moments(
    windows: Mapping[str, StreamWindows], subset: Subset, specs: Mapping[str, InputSpec], policy: Policy
) -> Moments:
    """Return when a session with these sensors answers, and by which windows (`LiveSet`)."""
    there = [m for m in subset if m in windows and len(windows[m].ends)]
    every = np.sort(np.concatenate([windows[m].ends for m in there])) if there else np.zeros(0)
    last = np.append(np.diff(every) > policy.align, True) if len(every) else np.zeros(0, bool)
    times = every[last]  # windows that end together are pooled together
    rows = {m: np.full(len(times), -1) for m in subset}
    newest = np.full(len(times), -np.inf)
    for m in there:
        ends = windows[m].ends
        found = np.searchsorted(ends, times, side="right") - 1
        live = (found >= 0) & (times - ends[found] <= specs[m].ttl)
        rows[m] = np.where(live, found, -1)
        if specs[m].hop > 0:
            newest = np.maximum(newest, np.where(live, ends[found], -np.inf))
    for m in there:
        if specs[m].hop > 0:
            late = windows[m].ends[rows[m]] < newest - policy.skew
            rows[m][late] = -1
    return Moments(times, rows)


def evidence_at(
    classifier: Classifier, windows: Mapping[str, StreamWindows], at: Moments
) -> tuple[EvidenceByModality, dict[str, NDArray[np.bool_]]]:
    """Return the evidence of each modality at T moments, and whether it is there, [T]."""
    evidence, size = dict[str, Evidence](), len(classifier.labels)
    for m, rows in at.rows.items():
        if m in windows and len(windows[m].ends):
            evidence[m] = classifier.evidence(m, windows[m].embeddings).take(np.maximum(rows, 0))
        else:
            evidence[m] = Evidence(np.full((len(rows), size), 1 / size))
    return evidence, {m: rows >= 0 for m, rows in at.rows.items()}
