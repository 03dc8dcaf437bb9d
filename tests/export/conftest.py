"""A real export of a small model, shared by the tests because it is slow."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from sensemble_export.bundle.write import Origin, export_bundle
from sensemble_export.lowering.targets import Job, Lowered
from sensemble_export.measuring import artifact_store
from sensemble_export.measuring.calibration import FittedOn
from sensemble_export.measuring.familiarity import synthetic
from sensemble_runtime.bundle.manifest import Manifest
from sensemble_sensors.spec import InputSpec
from sensemble_train.data.clips import Clips
from sensemble_train.models.encoders import EncoderConfig
from sensemble_train.models.model import Description, Model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import Tensor

from tests.conftest import Once

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 16000), 16000, window=1, hop=0.5, ttl=2),
    "text": InputSpec("text", "int64", (1, 8), 0, window=0, hop=0, ttl=2),
    "video": InputSpec("video", "uint8", (1, 2, 16, 16, 3), 2, window=1, hop=0.5, ttl=2),
}
LABELS = ("cat", "dog", "owl")
PEOPLE = [(f"person {index % 30}", f"writer {index % 26}") for index in range(36)]
"""The groups of the examples that are calibrated on."""
NAMED = [person for person, _ in PEOPLE]
ORIGIN = Origin(("video",), "finetune", "digits")
JOBS = (
    Job("audio", "executorch-xnnpack", "int8-static"),
    Job("text", "executorch-xnnpack", "int8-dynamic"),
    Job("video", "executorch-xnnpack", "int4-weights"),
    Job("text", "onnx", "int8-dynamic"),
    Job("video", "onnx", "int8-static"),
    Job("text", "coreml", "palette-6bit"),
    Job("video", "coreml", "int8-weights"),
)
"""Every target, with whatever modality is quick for it."""
FLOATS = [Job(modality, "executorch-xnnpack", "fp32") for modality in SPECS]


@dataclass(frozen=True)
class Export:
    """A finished export and what went into it."""

    model: Model
    held_out: Clips
    calibrate: Clips
    out: Path
    manifest: Manifest
    lowered: dict[Job, Lowered]
    steps: list[tuple[int, int]]


def make_model(seed: int, modalities: Sequence[str] = tuple(SPECS)) -> Model:
    """Small encoders with the front ends of the preset and no trivial norms."""
    torch.manual_seed(seed)
    tiny = {"width": 32, "depth": 1, "heads": 2, "embedding": 128, "activation": "relu", "relative": True}
    configs = {
        "audio": EncoderConfig(**tiny, stem=(8,), patch=8),
        "text": EncoderConfig(**tiny, vocabulary=64),
        # Wide enough that its perceptron is int4 in int4-weights.
        "video": EncoderConfig(**tiny | {"width": 128}, stem=(8,), patch=8, tubelet=2),
    }
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "cat": 1}, "[PAD]"))
    specs, configs = ({m: one[m] for m in modalities} for one in (SPECS, configs))
    model = Model(Description(specs, configs, LABELS, "multi-class"), tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for modality in modalities:
            model.encoders[modality](windows(modality, 32, seed))  # batch norms see some data
    return model.eval()


def windows(modality: str, count: int, seed: int) -> Tensor:
    """Raw windows that differ in level, as recordings do; captions of different length."""
    source = torch.Generator().manual_seed(seed)
    shape = SPECS[modality].shape[1:]
    if modality == "audio":
        return 0.3 * torch.rand(count, 1, generator=source) * torch.randn(count, *shape, generator=source)
    if modality == "video":
        return torch.randint(0, 256, (count, *shape), generator=source, dtype=torch.uint8)
    ids = torch.randint(1, 64, (count, *shape), generator=source)
    length = torch.randint(2, shape[0] + 1, (count, 1), generator=source)
    return ids * (torch.arange(shape[0]) < length)


def make_clips(count: int, seed: int) -> Clips:
    """Labelled examples, every fourth of them without a caption."""
    inputs = {modality: windows(modality, count, seed) for modality in SPECS}
    present = {modality: torch.ones(count, dtype=torch.bool) for modality in SPECS}
    present["text"][::4] = False
    return Clips(inputs, present, torch.arange(count) % len(LABELS))


@pytest.fixture(scope="session")
def exported(once: Once) -> Export:
    export: Export = pickle.loads((once("export", write_export) / "export.pickle").read_bytes())  # noqa: S301
    return export


def write_export(folder: Path) -> None:
    """Export every job into a folder, and keep there what the tests compare with."""
    lowered: dict[Job, Lowered] = {}
    real = artifact_store.lower_all

    def lower_and_keep(*given: Any) -> dict[Job, Lowered]:  # noqa: ANN401
        lowered.update(real(*given))
        return lowered

    model, held_out, steps = make_model(0), make_clips(24, seed=1), list[tuple[int, int]]()
    calibrate = make_clips(36, seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_store, "lower_all", lower_and_keep)
        ranges = {modality: windows(modality, 32, seed=2) for modality in SPECS}
        manifest = export_bundle(
            model,
            folder / "bundle",
            ORIGIN,
            calibration=ranges,
            held_out=held_out,
            groups=[str(index // 2) for index in range(len(held_out))],
            fitted_on=FittedOn(
                calibrate,
                PEOPLE,
                NAMED,
                known={modality: windows(modality, 40, seed=4) for modality in SPECS},
                background={modality: synthetic(model, modality, 40) for modality in SPECS},
            ),
            jobs=JOBS,
            progress=lambda done, total: steps.append((done, total)),
        )
    lowered |= real(model, ranges, FLOATS, lambda: None)
    made = Export(model, held_out, calibrate, folder / "bundle", manifest, lowered, steps)
    (folder / "export.pickle").write_bytes(pickle.dumps(made))
