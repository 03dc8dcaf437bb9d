"""The time that a session adds to the encoders' own, and the cost of a dead sensor to the others.

`uv run python apps/benchmarks/overhead.py BUNDLE` takes what `sensemble demo` or `sensemble export` made and
prints

1. for 1, 2, 3 and 8 sensors (of the bundle's modalities in turn; of several of one, one feeds and the others
   stand by), each in a thread and each in a separate process as in `sensemble run`: from when a sensor gave
   the last sample of a window to its prediction, less the time of encoding; p10, which a busy machine changes
   least, median and p99, and the median as a share of encoding. `align` is what a window waits for those due
   with it.
2. the same for one modality alone, and beside a sensor that is mute, absent, or hangs in its process.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Media, Sample, Sensor
from sensemble_sensors.spec import InputSpec

WINDOWS = 200  # of one modality
HOP = 0.1  # seconds at most between two windows, so that there is something to measure


Times = NDArray[np.float64]


class Paced:
    """Gives a hop of sound, a frame or a caption each time that it is due."""

    def __init__(self, modality: str, name: str) -> None:
        self.modality, self.name = modality, name
        self._next = 0.0

    def open(self, spec: InputSpec) -> None:
        self._data = data_of(spec)
        self._pause = 1 / spec.rate if spec.modality == "video" else spec.hop or HOP
        self._next = time.monotonic()

    def read(self, timeout: float) -> Sample | None:
        wait = self._next - time.monotonic()
        time.sleep(max(0.0, min(wait, timeout)))
        if wait > timeout:
            return None
        self._next += self._pause
        if isinstance(self._data, np.ndarray):
            self._data = np.roll(self._data, 1)  # for a picture that stays the same is frozen
        return Sample(self.modality, self._data, time.monotonic())

    def close(self) -> None: ...


class Mute(Paced):
    """Opens and gives nothing."""

    def read(self, timeout: float) -> Sample | None:
        time.sleep(timeout)
        return None


class Absent(Paced):
    """Cannot be opened."""

    def open(self, spec: InputSpec) -> None:
        raise SensorUnavailableError(f"{self.name}: no such {spec.modality} device")


class Hanging(Paced):
    """Does not return from its read, so that its process is killed, and started again."""

    def read(self, timeout: float) -> Sample | None:
        time.sleep(1000 * timeout)
        return None


def data_of(spec: InputSpec) -> Media | str:
    """Return the samples of a sensor at a time: a hop of sound, a frame, a caption."""
    rng = np.random.default_rng(0)
    if spec.modality == "audio":
        return rng.uniform(-0.5, 0.5, round(spec.hop * spec.rate)).astype(np.float32)
    if spec.modality == "text":
        return "a person says seven"
    return rng.integers(0, 256, spec.shape[2:], dtype=np.uint8)


def isolated(kind: type[Paced], modality: str, name: str) -> Sensor:
    """Return the sensor in a separate process, which imports it by the name of this file."""
    return Isolated(getattr(import_module(Path(__file__).stem), kind.__name__), modality, name)


def added(bundle: Bundle, sensors: Sequence[Sensor], modality: str, align: float) -> tuple[Times, Times]:
    """Return, for each prediction from a new window of `modality`, what the session added, and encoding."""
    own = Bundle.open(bundle.path)
    own.specs = {m: replace(spec, hop=min(spec.hop, HOP)) for m, spec in bundle.specs.items()}
    found: list[Prediction] = []
    # Noise is unfamiliar: without "pool" it would leave the live set, of which the ages are.
    with Session(own, policy=Policy(align=align, unfamiliar="pool")) as session:
        for sensor in sensors:
            session.attach(sensor)
        for prediction in session:
            if modality in prediction.latencies:
                found.append(prediction)
            if len(found) >= WINDOWS:
                break
    found = found[len(found) // 10 :]
    # A paced sensor's window ends when it is given, so its age is all the time that passed since.
    total = np.array([max(p.ages[m] for m in p.latencies) for p in found])
    encoding = np.array([max(p.latencies.values()) for p in found])
    return total - encoding, encoding


def main(folder: Path) -> None:
    bundle = Bundle.open(folder)
    session_adds(bundle)
    dead_sensor_adds(bundle)


def session_adds(bundle: Bundle) -> None:
    print(f"{'sensors':>8}  {'each in':10}{'align':>8}{HEAD}")
    for align in (0.0, Policy().align):
        for where, make in (("a thread", lambda kind, m, n: kind(m, n)), ("a process", isolated)):
            for count in (1, 2, 3, 8):
                modalities = list(islice(cycle(bundle.modalities), count))
                sensors = [make(Paced, m, f"{m} {i}") for i, m in enumerate(modalities)]
                row = described(*added(bundle, sensors, modalities[0], align))
                print(f"{count:8}  {where:10}{align * 1e3:5.0f} ms{row}", flush=True)


def dead_sensor_adds(bundle: Bundle) -> None:
    alive, dead = bundle.modalities[0], bundle.modalities[-1]
    beside: dict[str, list[Sensor]] = {
        "nothing": [],
        f"a mute {dead}": [Mute(dead, "mute")],
        f"an absent {dead}": [Absent(dead, "absent")],
        f"a hanging {dead}": [isolated(Hanging, dead, "hanging")],
    }
    print(f"\n{alive + ' beside':22}{HEAD}")
    for name, others in beside.items():
        row = described(*added(bundle, [*others, Paced(alive, alive)], alive, Policy().align))
        print(f"{name:22}{row}", flush=True)


HEAD = f"{'encoding':>12}{'p10':>10}{'added':>10}{'p99':>10}{'share':>8}"


def described(more: Times, encoding: Times) -> str:
    low, middle, high = np.percentile(more, (10, 50, 99)) * 1e3
    own = np.median(encoding) * 1e3
    return f"{own:9.2f} ms{low:7.2f} ms{middle:7.2f} ms{high:7.2f} ms{middle / own:8.1%}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    main(parser.parse_args().bundle)
