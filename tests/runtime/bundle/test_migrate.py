"""Manifests of versions 1 and 2 are read as if they were written today."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sensemble_runtime.bundle.manifest import (
    SCHEMA,
    Artifact,
    FileEntry,
    Parity,
    read_manifest,
    write_manifest,
)
from sensemble_runtime.errors import BundleCorruptError, BundlePathError

from tests.runtime.manifests import HASH, MANIFEST, document, parent, set_to


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.json"


def version_1() -> dict[str, Any]:
    """What version 1 wrote, as it wrote it."""
    spec = {"modality": "audio", "dtype": "float32", "shape": [1, 16000], "rate": 16000.0}
    parity = {"cosine": 0.998, "max_error": 0.05, "mean_error": 0.004, "windows": 400}
    artifact = {
        "path": "audio/executorch-xnnpack.int8.pte",
        "bytes": 627000,
        "sha256": HASH,
        "scheme": "int8",
        "parity": parity,
        "latency_ms": 1.26,
        "peak_mb": 38.0,
    }
    return {
        "schema": 1,
        "modalities": {
            "audio": {
                "spec": spec | {"window": 1.0, "hop": 0.5, "ttl": 2.0},
                "artifacts": {"executorch-xnnpack": artifact},
            }
        },
        "embedding": 128,
        "labels": ["one", "two"],
        "task": "multi-class",
        "head": {"path": "head.safetensors", "bytes": 10, "sha256": HASH},
        "tokenizer": None,
        "provenance": {
            "train_modalities": ["audio"],
            "method": "masd+wiseft",
            "dataset": "digits",
            "accuracy": {"audio": 0.8},
            "accuracy_quantized": {"audio": 0.79},
            "float_bytes": {"audio": 2100000},
            "float_latency_ms": {"audio": 1.33},
            "created": "2026-11-24T12:00:00+00:00",
        },
    }


def test_version_1_is_read_as_if_written_today(path: Path) -> None:
    path.write_text(json.dumps(version_1()), encoding="utf-8")
    manifest = read_manifest(path)
    assert manifest.schema == SCHEMA
    name = "audio/executorch-xnnpack.int8.pte"
    assert manifest.modalities["audio"].artifacts["executorch-xnnpack"] == Artifact(
        name,
        (FileEntry(name, 627000, HASH),),
        "int8-static",
        (),
        Parity(0.998, 0.05, 0.004, 400, None),
        1.26,
        38.0,
        None,
    )
    assert manifest.provenance.accuracy_quantized == {"executorch-xnnpack": {"audio": 0.79}}
    assert manifest.held_out == {}
    write_manifest(manifest, path)
    assert read_manifest(path) == manifest


def test_version_2_is_read_without_the_windows_that_it_held(path: Path) -> None:
    raw = document(path)
    raw["schema"] = 2
    raw["held_out"]["audio"]["path"] = "audio/held_out.safetensors"
    del raw["provenance"]["tools"]
    artifacts = raw["modalities"]["audio"]["artifacts"]
    artifacts["executorch-coreml"] = artifacts.pop("coreml")
    for entry in raw["modalities"].values():
        for artifact in entry["artifacts"].values():
            del artifact["differs"]
    path.write_text(json.dumps(raw), encoding="utf-8")
    manifest = read_manifest(path)
    assert (manifest.schema, manifest.held_out, manifest.provenance.tools) == (SCHEMA, {}, {})
    assert manifest.modalities["text"] == MANIFEST.modalities["text"]
    found = manifest.modalities["audio"].artifacts
    assert found["executorch-xnnpack"] == MANIFEST.modalities["audio"].artifacts["executorch-xnnpack"]
    assert "a date" in found["executorch-coreml"].differs
    write_manifest(manifest, path)
    assert read_manifest(path) == manifest


V1_ARTIFACT = ("modalities", "audio", "artifacts", "executorch-xnnpack")


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (set_to(*V1_ARTIFACT, "scheme", value="int5"), "executorch-xnnpack.scheme: expected"),
        (set_to(*V1_ARTIFACT, "bytes", value="many"), r"files\[0\].bytes: expected an integer"),
        (set_to(*V1_ARTIFACT, value=3), "executorch-xnnpack: expected an object"),
        (set_to("modalities", "audio", value=[]), "modalities.audio: expected an object"),
        (set_to("modalities", value="audio"), "modalities: expected an object"),
        (
            set_to("provenance", "accuracy_quantized", value=None),
            "accuracy_quantized.executorch-xnnpack: exp",
        ),
        (set_to("provenance", value=None), "provenance: expected an object"),
    ],
)
def test_a_bad_field_of_version_1_is_named(path: Path, alter: Callable[[Any], None], message: str) -> None:
    raw = version_1()
    alter(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundleCorruptError, match=message):
        read_manifest(path)


def test_a_path_of_version_1_that_leaves_the_bundle_is_refused(path: Path) -> None:
    raw = version_1()
    parent(raw, (*V1_ARTIFACT, "path"))["path"] = "../secret"
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BundlePathError, match="secret"):
        read_manifest(path)
