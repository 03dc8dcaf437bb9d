"""The samples of three sensors, pass by pass, and the predictions that the runtime makes of them.

An encoder here is the sine of eight numbers of its window, so that a wrong sample, frame or id shows.
"""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.head import Head
from sensemble_runtime.bundle.judge import Judge
from sensemble_runtime.bundle.manifest import Calibration, Manifest
from sensemble_runtime.bundle.tokenize import tokenize
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.live_set import LiveSet
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from tokenizers import Tokenizer

Event = tuple[str, float, list[float] | str | None]
"""Modality, time, and the samples, the brightness of a frame, a caption, or None where the sensor is lost."""


def events() -> list[Event]:
    """Sensors with jitter, gaps and losses, and a camera whose last window grows too old to be pooled."""
    source = random.Random(1)  # noqa: S311 - test data
    found: list[Event] = [("text", t, f"number {t}") for t in (2.005, 2.8, 22.0)]
    for block in range(330):
        time = 0.07 * (block + 1) + (1.3 if block > 60 else 0) + (0.8 if block > 100 else 0)  # a gap; no gap
        heard = [source.uniform(-1, 1) for _ in range(7)]
        found.append(("audio", time, None if block == 150 else heard))
    time = 0.0
    for frame in range(260):
        time += source.uniform(0.01, 0.06) if frame < 130 else source.uniform(0.1, 0.15)
        pause = 3.1 if frame > 220 else 1.2 if frame > 170 else 0
        found.append(("video", time + pause, None if frame == 200 else [float(frame % 256)]))
    return sorted(found, key=lambda event: event[1])


class Sines:
    """A bundle whose encoders take no time."""

    def __init__(
        self, folder: Path, specs: dict[str, InputSpec], head: Head, calibration: Calibration
    ) -> None:
        self.specs = specs
        self.modalities = tuple(sorted(specs))
        self.head = head
        labels = tuple(map(str, range(len(head.weight))))
        self.manifest = SimpleNamespace(labels=labels, calibration=calibration, audited={}, modalities=specs)
        self.judge = Judge(cast("Manifest", self.manifest), head)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def load(self, modality: str) -> None:
        pass

    def unload(self, modality: str) -> None:
        pass

    def tokenize(self, caption: str) -> NDArray[np.int64]:
        return tokenize(self._tokenizer, caption, self.specs["text"].shape[1])

    def encode(self, _modality: str, window: NDArray[np.generic]) -> NDArray[np.float32]:
        numbers = window.ravel()
        return np.sin(numbers[np.arange(8) * len(numbers) // 8], dtype=np.float64).astype(np.float32)


def predictions(bundle: Sines) -> list[Prediction]:
    """Return the predictions of the runtime."""
    live_set = LiveSet(cast("Bundle", bundle))
    found = []
    for modality, time, data in events():
        if data is None:
            live_set.remove(modality)
            continue
        live_set.add(modality)
        given: object = data
        if modality == "audio":
            given = np.array(data, np.float32)
        elif modality == "video":
            given = np.full(bundle.specs["video"].shape[2:], data[0], np.uint8)
        live_set.push(Sample(modality, given, time))  # type: ignore[arg-type]
        if (made := live_set.step(time)) is not None:
            found.append(made)
    return found
