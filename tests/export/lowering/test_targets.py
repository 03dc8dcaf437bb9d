"""Tests of the choice of schemes, and of the one line that refuses an impossible one."""

from pathlib import Path

import numpy as np
import pytest
from sensemble_export.errors import SchemeError
from sensemble_export.lowering.lowering import lower
from sensemble_export.lowering.targets import TARGETS, Job, plan
from sensemble_runtime.executors import executor

from tests.export.conftest import make_model, windows

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
    ("targets", "chosen", "message"),
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
def test_what_is_not_there_is_named(targets: list[str], chosen: list[str], message: str) -> None:
    with pytest.raises(SchemeError) as error:
        plan(SENSORS, targets, chosen)
    assert str(error.value).startswith(message)


def test_a_job_that_a_target_cannot_do_is_refused() -> None:
    with pytest.raises(SchemeError, match=r"^onnx .*palette-4bit$"):
        Job("video", "onnx", "palette-4bit")


PACKAGE = """
from io import BytesIO
import numpy as np
import torch
from sensemble_export import Lowered, Target
from sensemble_runtime import Executor

EXECUTOR = Executor(("sensemble_plain", "Plain"), "sensemble_plain", "install it")
LACKING = Executor(("sensemble_plain", "Plain"), "no_such_package.part", "get it")
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
    (tmp_path / "sensemble_ended.py").write_text("raise SystemExit('no accelerator')")
    info = tmp_path / "sensemble_plain-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sensemble-plain\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[sensemble.executors]\nplain = sensemble_plain:EXECUTOR\nbroken = gone:EXECUTOR\n"
        "lacking = sensemble_plain:LACKING\nother = sensemble_plain:Plain\nended = sensemble_ended:EXECUTOR\n"
        "[sensemble.targets]\nplain = sensemble_plain:TARGET\nbroken = gone:TARGET\n"
        "other = sensemble_plain:Plain\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SchemeError, match=r"targets broken: gone:TARGET cannot be loaded .*install"):
        plan(["video"], ["broken"])
    with pytest.raises(SchemeError, match=r"targets other: .* \(TypeError: it is no Target\); install"):
        plan(["video"], ["other"])
    with pytest.raises(SchemeError, match=r"unknown target 'none'; there is .*plain"):
        plan(["video"], ["none"])
    (job,) = plan(["video"], ["plain"])
    encoder, shown = make_model(0, ("video",)).encoders["video"], windows("video", 1, seed=1)
    executor.write(lower(encoder, shown, job).files, tmp_path / job.file)
    assert {*executor.available()} - {*executor.EXECUTORS} == {"plain"}
    assert "has an executor that fails: sensemble.executors broken: gone" in executor.missing("broken")
    assert "cannot be loaded (SystemExit: no accelerator)" in executor.missing("ended")
    assert "cannot be loaded (TypeError: it is no Executor)" in executor.missing("other")
    assert executor.missing("lacking") == "is not installed: get it"
    found = executor.load(tmp_path / job.file, "plain")(shown.numpy())
    np.testing.assert_allclose(found, encoder(shown).detach().numpy()[0], atol=1e-5)
