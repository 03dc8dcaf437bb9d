"""A manifest of everything there may be in one, and how tests change it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from sensemble_runtime.bundle.manifest import (
    SCHEMA,
    Artifact,
    Calibration,
    FileEntry,
    Manifest,
    ModalityCalibration,
    ModalityEntry,
    Parity,
    Provenance,
)
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.scores import SubsetScore
from sensemble_sensors.spec import InputSpec

HASH = "0123456789abcdef" * 4
MANIFEST = Manifest(
    schema=SCHEMA,
    modalities={
        "audio": ModalityEntry(
            InputSpec("audio", "float32", (1, 16000), rate=16000, window=1, hop=0.5, ttl=2),
            {
                "executorch-xnnpack": Artifact(
                    "audio/encoder.pte",
                    (FileEntry("audio/encoder.pte", 10, HASH),),
                    "int8-static",
                    Parity(0.99, 0.1, 0.01, 64, 0.98),
                    latency_ms=1.5,
                    peak_mb=30,
                ),
                "coreml": Artifact(
                    "audio/coreml.mlpackage",
                    (
                        FileEntry("audio/coreml.mlpackage/Manifest.json", 10, HASH),
                        FileEntry("audio/coreml.mlpackage/Data/weights/weight.bin", 20, HASH),
                    ),
                    "palette-6bit",
                    None,
                    None,
                    None,
                ),
            },
        ),
        "text": ModalityEntry(
            InputSpec("text", "int64", (1, 16), rate=0, window=0, hop=0, ttl=5),
            {
                "executorch-xnnpack": Artifact(
                    "text/encoder.pte",
                    (FileEntry("text/encoder.pte", 10, HASH),),
                    "fp32",
                    None,
                    None,
                    None,
                )
            },
        ),
    },
    embedding=8,
    labels=("ein Straßenlärm", "鳥", "à\u00a0gauche", "👩\u200d🚀"),
    task="multi-label",
    head=FileEntry("head.safetensors", 10, HASH),
    tokenizer=FileEntry("tokenizer.json", 10, HASH),
    held_out={"audio": FileEntry("audio.safetensors", 10, HASH)},
    provenance=Provenance(
        train_modalities=("audio",),
        method="masd+wiseft",
        dataset="digits",
        accuracy={"audio": 0.5, "audio+text": 1},
        accuracy_quantized={"executorch-xnnpack": {"audio": 0.49}},
        float_bytes={"audio": 40},
        float_latency_ms={"audio": 3.0},
        created="2026-01-01T00:00:00+00:00",
        tools={"torch": "2.13.0"},
    ),
    calibration=Calibration(
        risk=0.05,
        threshold=0.9,
        groups=4,
        redundancy=0.5,
        modalities={
            "audio": ModalityCalibration(temperature=1.5, power=0.0, examples=200, groups=20),
            "text": ModalityCalibration(temperature=1.0, power=0.0, examples=4, groups=4),
        },
        familiar={"audio": -1.5, "text": 0.0},
    ),
    audited={"audio": SubsetScore(0.5, 100, 0.4, 0.6)},
)

# That of a bundle that tests make: nothing was measured, and no window is held out.
UNMEASURED = replace(
    MANIFEST,
    task="multi-class",
    held_out={},
    provenance=replace(
        MANIFEST.provenance, accuracy={}, accuracy_quantized={}, float_bytes={}, float_latency_ms={}
    ),
    audited={},
)


def entry(folder: Path, path: str) -> FileEntry:
    """Return the entry of a file of a bundle."""
    data = (folder / path).read_bytes()
    return FileEntry(path, len(data), hashlib.sha256(data).hexdigest())


def document(path: Path) -> Any:  # noqa: ANN401 - JSON
    write_manifest(MANIFEST, path)
    return json.loads(path.read_text(encoding="utf-8"))


def parent(raw: Any, place: tuple[Any, ...]) -> Any:  # noqa: ANN401 - JSON
    for key in place[:-1]:
        raw = raw[key]
    return raw
