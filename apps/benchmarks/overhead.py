"""The time that a session adds to the encoders' own, and the cost of a dead sensor to the others.

`uv run python apps/benchmarks/overhead.py BUNDLE` takes what `sensemble demo` or `sensemble export` made and
prints

1. for 1, 2, 3 and 8 sensors (of the bundle's modalities in turn; of several of one, one feeds and the others
   stand by), each in a thread and each in a process of its own as in `sensemble run`: from when a sensor gave
   the last sample of a window to its prediction, less the time of encoding; p10, which a busy machine changes
   least, median and p99, and the median as a share of encoding. `align` is what a window waits for those due
   with it.
2. the same for one modality alone, and beside a sensor that is mute, absent, or hangs in its process.
3. with all sensors, then with one dead: encoding and fusing by the session's core, beside the same encoders
   exported as one fused graph, which is fed zeros for what is missing; median of a prediction. The graph has
   the demo's preset with weights drawn at random, and each encoder in it is quantized as the bundle's is. The
   two take turns, so that the ratio holds on a busy machine; it falls where a dead sensor costs the core
   nothing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.executors._native import Module
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.session import Session
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Media, Sample, Sensor
from sensemble_sensors.spec import InputSpec

WINDOWS = 200  # of one modality
HOP = 0.1  # seconds at most between two windows, so that there is something to measure
REPEATS = 300  # of each prediction of the second part

FUSE = """
import sys
from pathlib import Path
import torch
from sensemble_export.to_executorch import lower, quantize
from sensemble_export.rewrite import centred, lowerable
from sensemble_runtime.bundle.manifest_file import read_manifest
from sensemble_train.models.model import Description, Model
from sensemble_train.models.infer_spec import small

manifest = read_manifest(Path(sys.argv[1]) / "manifest.json")
specs = {m: entry.spec for m, entry in manifest.modalities.items()}
torch.manual_seed(0)
model = Model(Description(specs, small(specs), manifest.labels, manifest.task), None).eval()

def shipped(modality):
    # As the exporter makes it. What its ranges come from changes no time.
    artifact, spec = manifest.modalities[modality].artifacts["executorch-xnnpack"], specs[modality]
    int8 = artifact.scheme != "fp32"
    encoder = lowerable(model.encoders[modality], int8=int8)
    windows = torch.rand(4, *spec.shape[1:]).mul(9).to(getattr(torch, spec.dtype))
    return quantize(centred(encoder, windows), windows, artifact.scheme) if int8 else encoder

class Fused(torch.nn.Module):
    # An ExecuTorch program of the runtime has one input: all windows, one after another, as float32.
    def __init__(self):
        super().__init__()
        self.encoders = torch.nn.ModuleDict({m: shipped(m) for m in model.modalities})
        self.head = model.head.folded()
    def forward(self, flat):
        embeddings, at = [], 0
        for m in model.modalities:
            shape, dtype = specs[m].shape, getattr(torch, specs[m].dtype)
            size = torch.Size(shape).numel()
            embeddings.append(self.encoders[m](flat[:, at : at + size].reshape(shape).to(dtype)))
            at += size
        return self.head(torch.stack(embeddings).mean(dim=0))

size = sum(torch.Size(s.shape).numel() for s in specs.values())
Path(sys.argv[2]).write_bytes(lower(Fused(), torch.zeros(1, size)).files[""])
"""


Times = NDArray[np.float64]


class Paced:
    """Gives a hop of sound, a frame or a caption each time that it is due."""

    live = True

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
    """Return what a sensor gives at a time: a hop of sound, a frame, a caption."""
    rng = np.random.default_rng(0)
    if spec.modality == "audio":
        return rng.uniform(-0.5, 0.5, round(spec.hop * spec.rate)).astype(np.float32)
    if spec.modality == "text":
        return "a person says seven"
    return rng.integers(0, 256, spec.shape[2:], dtype=np.uint8)


def isolated(kind: type[Paced], modality: str, name: str) -> Sensor:
    """Return the sensor in a process of its own, which imports it by the name of this file."""
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


def dead(bundle: Bundle, fused: Module) -> dict[str, tuple[float, float]]:
    """Return, by what is dead, the median seconds of a prediction: the session's core, the fused graph."""
    windows = {m: np.asarray(window_of(spec)) for m, spec in bundle.specs.items()}
    results = {}
    for missing in (None, *bundle.modalities):
        session = VirtualSession(bundle, Policy(align=0.0))
        for m in {*bundle.modalities} - {missing}:
            session.plug(m, m, 0.0)
        times: tuple[list[float], list[float]] = ([], [])
        flat = np.concatenate(
            [(0 if m == missing else 1) * windows[m].astype(np.float32).ravel() for m in bundle.modalities]
        )[None]
        for i in range(REPEATS):
            for m in bundle.modalities:
                if m != missing:
                    push(session, bundle.specs[m], windows[m], 100.0 * i)
            began = time.perf_counter()
            list(session.advance(100.0 * i))
            times[0].append(time.perf_counter() - began)
            began = time.perf_counter()
            fused(flat)
            times[1].append(time.perf_counter() - began)
        results[missing or "nothing"] = (median(times[0]), median(times[1]))
    return results


def window_of(spec: InputSpec) -> Media | NDArray[np.int64]:
    rng = np.random.default_rng(0)
    if spec.modality == "audio":
        return rng.uniform(-1, 1, spec.shape).astype(np.float32)
    return rng.integers(0, 9 if spec.modality == "text" else 256, spec.shape).astype(spec.dtype)


def push(session: VirtualSession, spec: InputSpec, window: NDArray[np.generic], end: float) -> None:
    """Give a session the samples of one window."""
    if spec.modality == "audio":
        session.give(Sample("audio", np.asarray(window[0], np.float32), end, cut=True), end)
    elif spec.modality == "text":
        session.give(Sample("text", "a person says seven", end), end)
    else:
        for i, frame in enumerate(window[0]):
            moment = end - (len(window[0]) - 1 - i) / spec.rate
            session.give(Sample("video", np.asarray(frame, np.uint8), moment, cut=i == 0), end)


def main(folder: Path) -> None:
    bundle = Bundle.open(folder)
    session_adds(bundle)
    dead_sensor_adds(bundle)
    dead_costs(bundle)


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


def dead_costs(bundle: Bundle) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "fused.pte"
        subprocess.run([sys.executable, "-c", FUSE, bundle.path, program], check=True)
        times = dead(bundle, Module(program.read_bytes()))
    print(f"\n{'dead':10}{'core':>10}{'fused':>10}{'ratio':>8}")
    for name, (ours, theirs) in times.items():
        print(f"{name:10}{ours * 1e3:7.2f} ms{theirs * 1e3:7.2f} ms{ours / theirs:8.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    main(parser.parse_args().bundle)
