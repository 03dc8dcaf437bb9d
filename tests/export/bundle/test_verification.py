"""Parity measured again with the held-out windows next to a bundle, and a Core ML package read back."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from sensemble_export.bundle.readme import readme
from sensemble_export.bundle.staging import held_out_folder
from sensemble_export.bundle.verification import verify
from sensemble_export.errors import ParityFailedError
from sensemble_export.lowering.lowering import lower
from sensemble_export.lowering.targets import Job
from sensemble_export.measuring.parity import measure
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_runtime.executors import executor
from sensemble_sensors.errors import SensembleError
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.kinds.registry import KINDS

from tests.export.conftest import JOBS, SPECS, Export, windows
from tests.export.packages import PackageSummary, summarize


@pytest.fixture
def copied(exported: Export, tmp_path: Path) -> Path:
    shutil.copytree(held_out_folder(exported.out), tmp_path / "held-out-windows-of-bundle")
    return Path(shutil.copytree(exported.out, tmp_path / "bundle"))


@pytest.mark.real
def test_every_artifact_that_runs_here_is_measured_again(exported: Export, copied: Path) -> None:
    found = {(one.modality, one.target): one for one in verify(copied)}
    assert found.keys() == {(job.modality, job.target) for job in JOBS}
    for (modality, target), one in found.items():
        if target == "coreml":
            assert one.parity is one.latency_ms is None
            assert one.reason
        else:
            assert one.parity.windows == int(
                exported.held_out.present[modality].sum()
            )  # all, so few are there
            assert 0 < one.latency_ms != one.artifact.latency_ms  # of this run, not of the export
            assert one.parity.cosine > 0.98, (modality, target)
    assert read_manifest(copied / "manifest.json") == exported.manifest  # all that runs here was known


@pytest.mark.real
def test_what_no_machine_had_measured_is_kept(copied: Path) -> None:
    path = copied / "manifest.json"
    forget(copied, "text", "onnx")
    found = {(one.modality, one.target): one for one in verify(copied)}
    kept = read_manifest(path).modalities["text"].artifacts["onnx"]
    assert kept == found["text", "onnx"].artifact
    assert kept.parity == found["text", "onnx"].parity
    assert kept.latency_ms > 0
    assert (copied / "README.md").read_text(encoding="utf-8") == readme(read_manifest(path))


def forget(bundle: Path, modality: str, target: str) -> None:
    """Make an artifact unproved, as one that was exported where nothing runs it."""
    raw = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    nothing = {"parity": None, "latency_ms": None, "peak_mb": None}
    raw["modalities"][modality]["artifacts"][target] |= nothing
    (bundle / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")


def spoil(bundle: Path, modality: str) -> None:
    """Put other embeddings in the place of the float encoder's, so that no artifact comes near them."""
    path = held_out_folder(bundle) / f"{modality}.safetensors"
    enclosed = load_file(path)
    save_file({**enclosed, "embeddings": enclosed["embeddings"].flip(1).contiguous()}, path)
    raw = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    raw["held_out"][modality]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")


@pytest.mark.real
def test_what_is_too_far_from_its_encoder_is_named_and_stays_unproved(copied: Path) -> None:
    for modality in ("text", "video"):
        forget(copied, modality, "onnx")
    spoil(copied, "text")
    found = []
    with pytest.raises(
        ParityFailedError,
        match=r"^text for executorch-xnnpack: mean cosine -?0\.\d+, below 0\.98; text for onnx: .*ship",
    ):
        found.extend(verify(copied))
    assert len(found) == len(JOBS)
    kept = read_manifest(copied / "manifest.json").modalities
    assert kept["text"].artifacts["onnx"].parity is None
    assert kept["video"].artifacts["onnx"].parity.cosine > 0.98
    assert Bundle.open(copied).executors["text"] == "executorch-xnnpack"


def alter(bundle: Path) -> None:
    path = held_out_folder(bundle) / "text.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")


def unlist(bundle: Path) -> None:
    raw = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    (bundle / "manifest.json").write_text(json.dumps(raw | {"held_out": {}}), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        (
            lambda bundle: shutil.rmtree(held_out_folder(bundle)),
            "-of-bundle: not there; copy the folder held",
        ),
        (alter, r"held-out-windows-of-bundle/text\.safetensors: altered"),
        (unlist, r"has no held-out windows.*export it again"),
    ],
    ids=["not copied", "of another export", "of none"],
)
def test_without_the_windows_of_its_export_a_bundle_is_refused(
    copied: Path, spoiled: Callable[[Path], None], message: str
) -> None:
    spoiled(copied)
    with pytest.raises(SensembleError, match=message):
        next(verify(copied))


def package(exported: Export, modality: str) -> PackageSummary:
    return summarize(exported.out / exported.manifest.modalities[modality].artifacts["coreml"].path)


def test_a_package_says_what_it_takes_and_how_its_weights_are_stored(exported: Export) -> None:
    text, video = package(exported, "text"), package(exported, "video")
    assert text.inputs == {"window": ("int32", SPECS["text"].shape)}
    assert video.inputs == {"window": ("float32", SPECS["video"].shape)}
    assert text.outputs == video.outputs == {"embedding": ("float32", (1, 128))}
    assert set(text.weights) == {"palette-6bit"}
    assert video.weights["int8"] > 2 * 128 * 512 + 65_000
    assert video.weights["float16"] < 0.02 * video.weights["int8"], "biases and positions"
    assert text.computes["float16"] > 10


def test_what_leads_to_a_logarithm_stays_float32(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tiny = EncoderConfig(width=32, depth=1, heads=2, embedding=16, stem=(8,), patch=8)
    encoder = KINDS["waveform"].encoder(SPECS["audio"], tiny).eval()
    job = Job("audio", "coreml", "fp16")
    executor.write(lower(encoder, windows("audio", 1, seed=1), job).files, tmp_path / job.file)
    found = summarize(tmp_path / job.file)
    assert found.inputs == {"window": ("float32", SPECS["audio"].shape)}
    front = sum(buffer.numel() for buffer in encoder.mel.buffers())
    assert 0.25 * front < found.weights["float32"] <= front
    assert "float32" not in found.computes  # where no logarithm follows
    assert found.computes["float16"] > 20


SPY = """
import os
from sensemble_runtime.executors import executor
from sensemble_sensors.clock import RealClock
real = executor.load
now = 0.0
RealClock.now = lambda clock: now

def load(path, target, threads=0):
    with open(os.environ["LOG"], "a") as log:
        log.write(f"{threads} ")
    encoder = real(path, target, threads)

    def slowly(window):
        global now
        now += 0.01 if threads == int(os.environ["SLOW"]) else 0.001
        return encoder(window)

    return slowly

executor.load = load
"""


@pytest.mark.parametrize(("slow", "loads"), [("0", "0 1 "), ("1", "0 1 0 ")], ids=["one thread", "all cores"])
def test_the_faster_of_one_thread_and_all_cores_is_measured_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str, loads: str
) -> None:
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["window", "weight"], ["embedding"])],
        "encoder",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 4])],
        [weight],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10),
        tmp_path / "encoder.onnx",
    )
    rows = np.arange(80, dtype=np.float32).reshape(20, 4)
    save_arrays({"windows": rows}, tmp_path / "windows.safetensors")
    (tmp_path / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    for name, value in (("PYTHONPATH", tmp_path), ("LOG", tmp_path / "log"), ("SLOW", slow)):
        monkeypatch.setenv(name, str(value))
    program = (tmp_path / "encoder.onnx").read_bytes()
    windows = tmp_path / "windows.safetensors"
    found = measure({"": program}, "encoder.onnx", "onnx", windows)
    np.testing.assert_array_equal(found.embeddings, rows)
    assert (tmp_path / "log").read_text() == loads, "what was timed is not run again"
    assert found.costs.threads == int(loads[-2])
    assert found.costs.median_ms == pytest.approx(1.0)
    assert found.costs.peak_mb > 10
