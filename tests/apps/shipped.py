"""A run folder whose bundle is no more than a manifest: enough for the report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import numpy as np
from sensemble_apps.report.run_contents import RunContents
from sensemble_runtime import subsets
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.bundle.manifest import (
    Artifact,
    Calibration,
    FileEntry,
    Manifest,
    ModalityCalibration,
    ModalityEntry,
    Parity,
)
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.prediction import Doubt
from sensemble_runtime.record.writer import RecordedAnswer, RecordWriter, fingerprint
from sensemble_runtime.scores import (
    CLEAN,
    ConditionScore,
    CurvePoint,
    Estimate,
    StreamScore,
    SubsetScore,
)
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import InputSpec

from tests.runtime.manifests import UNMEASURED

from .conftest import matrices, write_matrix

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 16000), rate=16000, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 8), rate=0, window=0, hop=0, ttl=2),
    "video": InputSpec("video", "uint8", (1, 4, 32, 32, 3), rate=4, window=1, hop=0.5, ttl=2),
}

THRESHOLD = 0.8


def manifest() -> Manifest:
    scores = matrices("video")["masd+wiseft"]["video"]
    modalities = {
        m: ModalityEntry(spec, {"executorch-xnnpack": _artifact(f"{m}/encoder.pte")})
        for m, spec in SPECS.items()
    }
    provenance = replace(
        UNMEASURED.provenance,
        train_modalities=("video",),
        dataset="colours <&>",
        accuracy=scores,
        accuracy_quantized={"executorch-xnnpack": {name: score - 0.005 for name, score in scores.items()}},
        float_bytes=dict.fromkeys(SPECS, 2_000_000),
        float_latency_ms=dict.fromkeys(SPECS, 9.5),
    )
    calibrated = {m: ModalityCalibration(1.5, 0.5, 200, 50) for m in SPECS}
    return replace(
        UNMEASURED,
        modalities=modalities,
        labels=("zero", "one"),
        provenance=provenance,
        calibration=Calibration(0.05, THRESHOLD, 50, 0.4, calibrated, {}),
        audited={name: SubsetScore(score, 100, score / 2, (1 + score) / 2) for name, score in scores.items()},
    )


def _artifact(path: str) -> Artifact:
    files = (FileEntry(path, 500_000, "0" * 64),)
    return Artifact(path, files, "int8-static", Parity(0.9987, 0.2, 0.01, 64, 0.99), 4.25, 41.0)


def write_run(folder: Path) -> Path:
    """Write a run folder as far as the report looks into it."""
    write_matrix(folder / "matrix.json", matrices("video"))
    (folder / "bundle").mkdir()
    write_manifest(manifest(), folder / "bundle" / "manifest.json")
    (folder / "config.json").write_text(
        '{"seed": 7, "data": "/home/me/colours", "pretrain": {"steps": 100}}', encoding="utf-8"
    )
    return folder


def condition_score(
    modality: str, condition: str, severity: int, subset: str, accuracy: float
) -> ConditionScore:
    found = SubsetScore(accuracy, 100, accuracy - 0.05, accuracy + 0.05)
    unsure = round((1 - accuracy) / 2, 6)
    return ConditionScore(
        modality, condition, severity, f"by {severity}", subset, found, accuracy, unsure, accuracy, accuracy
    )


def condition_scores() -> list[ConditionScore]:
    """More sensors are better; a severity costs two points, noise and darkness three, captions one more."""
    every = subsets.subsets(SPECS)
    found = [condition_score("", CLEAN, 0, subsets.name(s), 0.5 + 0.1 * len(s)) for s in every]
    for modality, spec in SPECS.items():
        for condition in kind_of(spec).conditions:
            step = 0.03 if condition.name in ("noise", "dark") else 0.02
            for severity in (1, 2, 3, 4, 5):
                for s in every:
                    if modality in s:
                        value = round(0.5 + 0.1 * len(s) - step * severity - 0.01 * ("text" in s), 6)
                        found.append(
                            condition_score(modality, condition.name, severity, subsets.name(s), value)
                        )
    return found


def under(contents: RunContents, scores: Sequence[ConditionScore]) -> RunContents:
    """Return the contents of a report whose audit has scores under conditions."""
    return replace(contents, audit=replace(contents.audit, conditions=tuple(scores)))


def write_audit(folder: Path, n: int = 400) -> None:
    """Add the record of an audit of `n` examples to such a run folder, with scores like the manifest's."""
    made = manifest()
    exported = made.provenance.accuracy_quantized["executorch-xnnpack"]
    found = {name: score - 0.003 for name, score in exported.items()}
    scores = {name: SubsetScore(score, n, *wilson(score * n, n)) for name, score in found.items()}
    every = "audio+text+video"
    rest = {m: subsets.name({*SPECS} - {m}) for m in SPECS}
    drops = {f"drop.{m}": found[every] - found[rest[m]] for m in SPECS}
    drops |= {f"gain.{m} to {rest[m]}": drops[f"drop.{m}"] for m in SPECS}
    drops["gain.text to audio"] = -0.05
    whole = {"P": fmean(found.values()), "R": min(found.values())}
    half = 0.8 / n**0.5
    estimates = {name: Estimate(value, value - half, value + half) for name, value in (whole | drops).items()}
    bundle = SimpleNamespace(manifest=made, fingerprint=fingerprint(folder / "bundle"))
    with RecordWriter(folder / "audit.sqlite") as records:
        run = records.begin("audit", bundle, made.provenance.dataset, "eval")  # type: ignore[arg-type]
        records.add_answers(run, _answers(found, n))
        records.add_scores(run, scores, dict.fromkeys(scores, 0.1), estimates)
        records.end(run)
        run = records.begin("streams", bundle, made.provenance.dataset, "eval")  # type: ignore[arg-type]
        records.add_streams(run, map(_stream_score, found, found.values()))
        records.end(run)


def _stream_score(name: str, share: float) -> StreamScore:
    curve = [CurvePoint(5.0 - at, share * at / 6, 2.0**at - 1) for at in range(6)]
    found, rates = (share / 2, share / 2 - 0.1, share / 2 + 0.1), (2, 1, 1.0, 0.1, 3.6)
    return StreamScore(name, "", 2.0, 90, *found, *rates, 0.4, 1.2, 0.93, 0.9, tuple(curve))


def _answers(scores: Mapping[str, float], n: int) -> Iterator[RecordedAnswer]:
    """Yield answers that are as often right as they say, but for captions, which say 95 % and are sure."""
    for i in range(n):
        for name, score in scores.items():
            confidence = 0.95 if name == "text" else score
            best, other = ("zero", "one") if i < score * n else ("one", "zero")
            chances = {best: confidence, other: 1 - confidence}
            probabilities = np.array([chances["zero"], chances["one"]], np.float32)
            doubt: Doubt | None = None if confidence >= THRESHOLD else "several"
            yield RecordedAnswer(f"eval-{i}", i + 1, ("zero",), name, best, probabilities, THRESHOLD, doubt)
