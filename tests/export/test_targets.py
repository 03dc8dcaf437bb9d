"""Tests of the choice of schemes, and of the one line that refuses an impossible one."""

from pathlib import Path

import numpy as np
import pytest
from sensemble_export.errors import SchemeError
from sensemble_export.lowering import lower
from sensemble_export.targets import TARGETS, Job, all_targets, plan
from sensemble_runtime.executors import executor

from .conftest import make_model, windows

SENSORS = ("audio", "video")


def test_the_runtime_knows_the_targets() -> None:
    assert sorted(TARGETS) == sorted(executor.EXECUTORS)


def test_without_a_choice_each_target_has_its_default() -> None:
    jobs = plan(SENSORS, list(TARGETS), [])
    assert {(job.target, job.modality): job.scheme for job in jobs} == {
        ("executorch-xnnpack", "audio"): "int8-dynamic",
        ("executorch-xnnpack", "video"): "int8-dynamic",
        ("onnx", "audio"): "int8-dynamic",
        ("onnx", "video"): "int8-dynamic",
        ("coreml", "audio"): "int8-weights",
        ("coreml", "video"): "int8-weights",
    }


def test_a_choice_for_one_target_counts_more_than_one_for_all() -> None:
    chosen = ["onnx:audio=fp32", "audio=int8-static"]
    jobs = plan(SENSORS, ["executorch-xnnpack", "onnx"], chosen)
    assert jobs == [
        Job("audio", "executorch-xnnpack", "int8-static"),
        Job("video", "executorch-xnnpack", "int8-dynamic"),
        Job("audio", "onnx", "fp32"),
        Job("video", "onnx", "int8-dynamic"),
    ]


@pytest.mark.parametrize(
    ("targets", "chosen", "says"),
    [
        (["tflite"], [], "unknown target 'tflite'; there is executorch-xnnpack, onnx, coreml"),
        (["onnx"], ["depth=fp32"], "unknown modality 'depth'; there is audio, video"),
        (["onnx"], ["audio=int3"], "unknown scheme 'int3'; there is fp32, fp16"),
        (["onnx"], ["audio"], "--scheme audio: says no scheme; write [TARGET:]MODALITY=SCHEME"),
        (["onnx", "coreml", "onnx"], [], "--target names onnx twice"),
        (
            ["onnx"],
            ["audio=fp32", "video=fp32", "audio=int8-static"],
            "--scheme audio=fp32 audio=int8-static: two schemes for audio; choose one",
        ),
        (
            ["onnx"],
            ["coreml:audio=fp16"],
            "--scheme coreml:audio=fp16: coreml is not exported; add it to --target",
        ),
        (
            ["onnx", "coreml"],
            ["audio=palette-6bit"],
            "--scheme audio=palette-6bit: onnx has fp32, int8-dynamic, int8-static, int8-weights; choose",
        ),
    ],
)
def test_what_is_not_there_is_named(targets: list[str], chosen: list[str], says: str) -> None:
    with pytest.raises(SchemeError) as error:
        plan(SENSORS, targets, chosen)
    assert str(error.value).startswith(says)


def test_a_job_that_a_target_cannot_do_is_refused() -> None:
    with pytest.raises(SchemeError, match=r"^onnx has fp32, int8-dynamic.*, not palette-4bit$"):
        Job("video", "onnx", "palette-4bit")


PACKAGE = """
from io import BytesIO
import numpy as np
import torch
from sensemble_export.targets import Lowered, Target
from sensemble_runtime.executors.executor import Executor

EXECUTOR = Executor(("sensemble_plain", "Plain"), "sensemble_plain", "install it")
TARGET = Target(("fp32",), "fp32", ".plain", (), ("sensemble_plain", "lower"))

def lower(encoder, windows, scheme):
    out = BytesIO()
    torch.jit.save(torch.jit.trace(encoder, windows[:1]), out)
    return Lowered({"": out.getvalue()})

class Plain:
    def __init__(self, path, contents, threads=0, *, single=False):
        self.run = torch.jit.load(path)
    def __call__(self, window):
        return self.run(torch.from_numpy(window))[0].detach().numpy()
"""


def test_a_package_adds_a_target_and_its_executor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sensemble_plain.py").write_text(PACKAGE)
    info = tmp_path / "sensemble_plain-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sensemble-plain\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sensemble.executors]\nplain = sensemble_plain:EXECUTOR\n"
        "[sensemble.targets]\nplain = sensemble_plain:TARGET\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    all_targets.cache_clear()
    try:
        (job,) = plan(["video"], ["plain"])
        encoder, shown = make_model(0, ("video",)).encoders["video"], windows("video", 1, seed=1)
        executor.write(lower(encoder, shown, job).files, tmp_path / job.file)
    finally:
        all_targets.cache_clear()
    assert "plain" in executor.available()
    found = executor.load(tmp_path / job.file, "plain")(shown.numpy())
    np.testing.assert_allclose(found, encoder(shown).detach().numpy()[0], atol=1e-5)
