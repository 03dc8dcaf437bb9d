"""A run folder whose bundle is no more than a manifest: enough for the report."""

from pathlib import Path

from sensemble_runtime.bundle.manifest import (
    SCHEMA,
    Artifact,
    Calibration,
    FileEntry,
    Manifest,
    ModalityEntry,
    Parity,
    Provenance,
    SubsetCalibration,
)
from sensemble_runtime.bundle.manifest_file import write_manifest
from sensemble_runtime.subsets import SubsetScore
from sensemble_sensors.spec import InputSpec

from .conftest import matrices, write_matrix

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 16000), rate=16000, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 8), rate=0, window=0, hop=0, ttl=2),
    "video": InputSpec("video", "uint8", (1, 4, 32, 32, 3), rate=4, window=1, hop=0.5, ttl=2),
}


def manifest() -> Manifest:
    scores = matrices("video")["masd+wiseft"]["video"]
    return Manifest(
        schema=SCHEMA,
        modalities={
            m: ModalityEntry(
                spec,
                {
                    "executorch-xnnpack": Artifact(
                        f"{m}/encoder.pte",
                        (FileEntry(f"{m}/encoder.pte", 500_000, "0" * 64),),
                        "int8-static",
                        (),
                        Parity(0.9987, 0.2, 0.01, 64, 0.99),
                        4.25,
                        41.0,
                        None,
                    )
                },
            )
            for m, spec in SPECS.items()
        },
        embedding=8,
        labels=("zero", "one"),
        task="multi-class",
        head=FileEntry("head.safetensors", 10, "0" * 64),
        tokenizer=FileEntry("tokenizer.json", 10, "0" * 64),
        held_out={},
        provenance=Provenance(
            train_modalities=("video",),
            method="masd+wiseft",
            dataset="colours <&>",
            accuracy=scores,
            accuracy_quantized={
                "executorch-xnnpack": {name: score - 0.005 for name, score in scores.items()}
            },
            float_bytes=dict.fromkeys(SPECS, 2_000_000),
            float_latency_ms=dict.fromkeys(SPECS, 9.5),
            created="2026-11-24T12:00:00+00:00",
            tools={},
        ),
        calibration=Calibration(0.1, {name: SubsetCalibration(1.5, 0.4, 200) for name in scores}, {}),
        audited={name: SubsetScore(score, 100, score / 2, (1 + score) / 2) for name, score in scores.items()},
    )


def write_run(folder: Path) -> Path:
    """Write a run folder as far as the report looks into it."""
    write_matrix(folder / "matrix.json", matrices("video"))
    (folder / "bundle").mkdir()
    write_manifest(manifest(), folder / "bundle" / "manifest.json")
    (folder / "config.json").write_text(
        '{"seed": 7, "data": "/home/me/colours", "pretrain": {"steps": 100}}', encoding="utf-8"
    )
    return folder
