"""An artifact is measured with the threads that the runtime gives it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from sensemble_export.parity import measure

SPY = """
import os, time
from sensemble_runtime.executors import executor
real = executor.load

def load(path, target, threads=0, *, quick=False):
    with open(os.environ["LOG"], "a") as log:
        log.write(f"{threads} {quick}\\n")
    encoder = real(path, target, threads, quick=quick)

    def slowly(window):
        time.sleep(float(os.environ["SECONDS"]))
        return encoder(window)

    return slowly

executor.load = load
"""


@pytest.mark.parametrize(
    ("seconds", "loads"), [("0", ["0 True"]), ("0.003", ["0 True", "0 False"])], ids=["quick", "slow"]
)
def test_a_quick_encoder_gets_one_thread_and_a_slow_one_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: str, loads: list[str]
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
    save_file({"windows": rows}, tmp_path / "windows.safetensors")
    (tmp_path / "sitecustomize.py").write_text(SPY, encoding="utf-8")
    for name, value in (("PYTHONPATH", tmp_path), ("LOG", tmp_path / "log"), ("SECONDS", seconds)):
        monkeypatch.setenv(name, str(value))
    program = (tmp_path / "encoder.onnx").read_bytes()
    found = measure({"": program}, "encoder.onnx", "onnx", tmp_path / "windows.safetensors")
    np.testing.assert_array_equal(found.embeddings, rows)
    assert (tmp_path / "log").read_text().splitlines() == loads
    assert found.median_ms >= 1e3 * float(seconds)
    assert found.peak_mb > 10
