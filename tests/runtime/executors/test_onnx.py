"""The ONNX executor on a model whose values are known."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sensemble_runtime.errors import BundleIncompatibleError, EncoderError
from sensemble_runtime.executors.executor import Encoder, available, load

WEIGHT = np.arange(8, dtype=np.float32).reshape(4, 2)


def write(path: Path, *nodes: onnx.NodeProto, weights: onnx.TensorProto | None = None) -> Path:
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(WEIGHT, "weight") if weights is None else weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    product = helper.make_node("MatMul", ["window", "weight"], ["embedding"])
    return load(write(tmp_path / "encoder.onnx", product), "onnx")


def test_it_says_what_it_takes_and_computes(encoder: Encoder) -> None:
    assert "onnx" in available()
    assert (encoder.dtype, encoder.shape, encoder.embedding) == ("float32", (1, 4), 2)
    window = np.array([[1, 0, -1, 0.5]], np.float32)
    found = encoder(window)
    np.testing.assert_array_equal(found, (window @ WEIGHT)[0])
    assert found.dtype == np.float32


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleIncompatibleError, match=r"encoder\.onnx: ONNX Runtime \d") as error:
        load(tmp_path / "encoder.onnx", "onnx")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("secret", ["secret", "bundle/secret", "../secret"])
def test_weights_in_other_files_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    (tmp_path / "work" / "bundle").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")  # where ONNX Runtime seeks them, if nothing else is set
    Path(secret).write_bytes(WEIGHT.tobytes())
    outside = TensorProto(name="weight", data_type=TensorProto.FLOAT, dims=[4, 2])
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value=secret)
    product = helper.make_node("MatMul", ["window", "weight"], ["embedding"])
    with pytest.raises(BundleIncompatibleError, match="does not run it"):
        load(write(Path("bundle/encoder.onnx"), product, weights=outside), "onnx")


def test_a_failure_while_it_runs_is_an_encoder_error(tmp_path: Path) -> None:
    far = numpy_helper.from_array(np.array([7, 8], np.int64), "far")  # there are 4
    nodes = [helper.make_node("Gather", ["window", "far"], ["embedding"], axis=1)]
    encoder = load(write(tmp_path / "encoder.onnx", *nodes, weights=far), "onnx")
    with pytest.raises(EncoderError, match=r"encoder\.onnx: .*indices"):
        encoder(np.zeros((1, 4), np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_an_embedding_with_nan_is_an_encoder_error(tmp_path: Path, bad: float) -> None:
    weights = numpy_helper.from_array(np.full((4, 2), bad, np.float32), "weight")
    product = helper.make_node("MatMul", ["window", "weight"], ["embedding"])
    encoder = load(write(tmp_path / "encoder.onnx", product, weights=weights), "onnx")
    with pytest.raises(EncoderError, match=r"encoder\.onnx: .*NaN"):
        encoder(np.ones((1, 4), np.float32))


def test_an_embedding_of_another_form_than_the_model_says_is_an_encoder_error(tmp_path: Path) -> None:
    stretched = helper.make_node("Concat", ["window", "window"], ["embedding"], axis=1)
    model = onnx.load(write(tmp_path / "encoder.onnx", stretched))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "any"
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    (tmp_path / "encoder.onnx").write_bytes(model.SerializeToString())
    with pytest.raises((EncoderError, BundleIncompatibleError), match=r"encoder\.onnx: "):
        load(tmp_path / "encoder.onnx", "onnx")(np.ones((1, 4), np.float32))
