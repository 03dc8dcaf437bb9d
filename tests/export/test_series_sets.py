"""A public series set is learned from few examples by the settings that fit any data, and int8 keeps it."""

from pathlib import Path

import pytest
import torch
from sensemble_export.quantize import quantize
from sensemble_export.rewrite import centred, lowerable
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import window
from sensemble_train import Config, derived, load_model, run

from tests.export.series_sets import convert


@pytest.mark.slow
@pytest.mark.needs("aeon")
def test_basic_motions(tmp_path: Path) -> None:
    dataset = read_dataset(convert("BasicMotions", tmp_path / "data"))
    config = derived(Config(str(dataset.folder), ("imu",)), dataset)
    matrix = run(config, tmp_path / "run")
    score = matrix["subset"]["imu"]["imu"]
    assert score >= 0.95
    model = load_model(tmp_path / "run" / "models" / "subset" / "imu")
    spec, encoder = model.description.specs["imu"], model.encoders["imu"]
    assert spec.shape == (1, 100, 6)
    shown = torch.cat([torch.from_numpy(window(e, spec)) for e in dataset.split("train")])
    quantized = quantize(centred(lowerable(encoder, int8=True), shown), shown, "int8-static")
    right = 0
    with torch.no_grad():
        for example in dataset.split("eval"):
            logits = model.head(quantized(torch.from_numpy(window(example, spec))))
            right += model.description.labels[int(logits.argmax())] == example.labels[0]
    assert abs(right / len(dataset.split("eval")) - score) <= 0.01
