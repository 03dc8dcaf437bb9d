"""A bundle whose encoders are a few lines of ONNX: it knows the colours and tones of `tests.apps.clips`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from sensemble_runtime.bundle.head import Head, save_head
from sensemble_runtime.bundle.manifest import (
    Artifact,
    Calibration,
    ModalityCalibration,
    ModalityEntry,
    SparingCalibration,
)
from sensemble_runtime.bundle.manifest_file import read_manifest, write_manifest
from sensemble_runtime.executors.onnx import OnnxEncoder
from sensemble_sensors.spec import Channel, InputSpec
from sensemble_train.models.tokenizer import train_tokenizer

from tests.apps.clips import CLASSES
from tests.runtime.manifests import UNMEASURED, entry

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 16000), 16000, 1, 0.5, 2),
    "imu": InputSpec(
        "imu", "float32", (1, 50, 3), 50, 1, 0.5, 2, "series", tuple(map(Channel, ("ax", "ay", "az")))
    ),
    "text": InputSpec("text", "int64", (1, 8), 0, 0, 0, 10),
    "video": InputSpec("video", "uint8", (1, 2, 32, 32, 3), 2, 1, 0.5, 4),
}
SIZE = len(CLASSES)
_HELD_OUT = 4  # windows
_TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}


def encoder(modality: str) -> bytes:
    """Return the model of an encoder: the shares of the classes' tones, colours or axes, or equal ones."""
    tones = np.arange(16000)[:, None] / 16000 * [hertz for _, hertz in CLASSES.values()]
    constants: dict[str, NDArray[np.generic]] = {
        "waves": np.exp(2j * np.pi * tones).view(float).astype(np.float32),
        "pairs": np.kron(np.eye(SIZE), [[1], [1]]).astype(np.float32),
        "same": np.ones((8, SIZE), np.float32),
        "axes": np.array([1, 2, 3]),
        "time": np.array([1]),
        "one": np.array([1]),
        "little": np.array([1e-6], np.float32),
    }
    steps = {
        "audio": [("MatMul", "waves"), ("Mul", ""), ("MatMul", "pairs")],
        "imu": [("ReduceMean", "time")],
        "text": [("MatMul", "same")],
        "video": [("ReduceMean", "axes")],
    }[modality]
    nodes = [helper.make_node("Cast", ["window"], ["x0"], to=TensorProto.FLOAT)]
    for i, (operation, operand) in enumerate(steps):
        more: dict[str, Any] = {"keepdims": 0} if operation == "ReduceMean" else {}
        nodes.append(helper.make_node(operation, [f"x{i}", operand or f"x{i}"], [f"x{i + 1}"], **more))
    last = f"x{len(steps)}"
    nodes += [
        helper.make_node("ReduceSum", [last, "one"], ["sum"]),
        helper.make_node("Add", ["sum", "little"], ["whole"]),
        helper.make_node("Div", [last, "whole"], ["embedding"]),
    ]
    spec = SPECS[modality]
    graph = helper.make_graph(
        nodes,
        modality,
        [helper.make_tensor_value_info("window", _TYPES[spec.dtype], spec.shape)],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, SIZE])],
        [
            numpy_helper.from_array(value, name)
            for name, value in constants.items()
            if any(name in node.input for node in nodes)
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def windows(modality: str) -> NDArray[np.generic]:
    """Return windows of noise, [N, 1, ...]."""
    source, spec = np.random.default_rng(0), SPECS[modality]
    noise = source.uniform(0, 1 if spec.dtype == "float32" else 255, (_HELD_OUT, *spec.shape))
    return noise.astype(spec.dtype)


def write_colours(folder: Path) -> Path:
    """Write the bundle, and its held-out windows beside it; return the folder."""
    beside = folder.parent / f"held-out-windows-of-{folder.name}"
    beside.mkdir(parents=True)
    entries, held_out = {}, {}
    for modality, spec in SPECS.items():
        (folder / modality).mkdir(parents=True)
        path = folder / modality / "x.onnx"
        path.write_bytes(encoder(modality))
        file = entry(folder, f"{modality}/x.onnx")
        entries[modality] = ModalityEntry(
            spec, {"onnx": Artifact(file.path, (file,), "fp32", None, None, None)}
        )
        encode = OnnxEncoder(path, {"": path.read_bytes()}, 1)
        shown = windows(modality)
        embeddings = np.stack([encode(window) for window in shown])
        save_file(
            {"windows": shown[:, 0].copy(), "embeddings": embeddings}, beside / f"{modality}.safetensors"
        )
        held_out[modality] = entry(beside, f"{modality}.safetensors")
    head = Head(20 * np.eye(SIZE, dtype=np.float32), np.zeros(SIZE, np.float32), "multi-class")
    save_head(head, folder / "head.safetensors")
    train_tokenizer(["this is one, two and zero"] * 20, 300).save(str(folder / "tokenizer.json"))
    fitted = dict.fromkeys(SPECS, ModalityCalibration(1, 0, 99, 99))
    calibration = Calibration(0.05, 0.5, 99, 0.5, fitted, {})
    write_manifest(
        replace(
            UNMEASURED,
            modalities=entries,
            embedding=SIZE,
            labels=tuple(CLASSES),
            head=entry(folder, "head.safetensors"),
            tokenizer=entry(folder, "tokenizer.json"),
            held_out=held_out,
            calibration=calibration,
        ),
        folder / "manifest.json",
    )
    return folder


def put_to_sleep(folder: Path, wake: float = 0.01) -> None:
    """Give a bundle a policy by which its camera sleeps unless the others' confidence is below `wake`."""
    contents = read_manifest(folder / "manifest.json")
    order = ("audio", "imu", "text"), ("video",)
    numbers = wake, 1.0, 0.5, 3, 1.0, False, (1.0, 0.2), 0.9, 0.8, 0.0, 0.9, 0.8, 0.0
    calibration = replace(contents.calibration, sparing=SparingCalibration(order, (3.0, 10.0), *numbers))
    write_manifest(replace(contents, calibration=calibration), folder / "manifest.json")
