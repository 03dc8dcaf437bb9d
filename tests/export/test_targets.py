"""Tests of the choice of schemes, and of the one line that refuses an impossible one."""

import pytest
from sensemble_export.errors import SchemeError
from sensemble_export.targets import TARGETS, Job, plan
from sensemble_runtime.bundle import manifest

SENSORS = ("audio", "video")


def test_the_runtime_knows_the_targets() -> None:
    assert sorted(TARGETS) == sorted(manifest.TARGETS)


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
        (["onnx"], ["audio="], "--scheme audio=: says no scheme"),
        (["onnx", "coreml", "onnx"], [], "--target names onnx twice"),
        (
            ["onnx"],
            ["audio=fp32", "video=fp32", "audio=int8-static"],
            "--scheme audio=fp32 audio=int8-static: two schemes for audio; choose one",
        ),
        (
            ["onnx"],
            ["onnx:audio=fp32", "onnx:audio=fp32"],
            "--scheme onnx:audio=fp32 onnx:audio=fp32: two schemes for onnx:audio",
        ),
        (
            ["coreml"],
            ["audio=int8-static"],
            "--scheme audio=int8-static: coreml has fp32, fp16",
        ),
        (
            ["onnx"],
            ["coreml:audio=fp16"],
            "--scheme coreml:audio=fp16: coreml is not exported; add it to --target",
        ),
        (["onnx"], ["tflite:audio=fp16"], "unknown target 'tflite'; there is executorch-xnnpack, onnx"),
        (
            ["onnx", "coreml"],
            ["audio=palette-6bit"],
            "--scheme audio=palette-6bit: onnx has fp32, int8-dynamic, int8-static; choose one of these",
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
    with pytest.raises(SchemeError, match=r"^fp16 quantizes nothing: there is nothing to keep"):
        Job("video", "coreml", "fp16", ("trunk",))
