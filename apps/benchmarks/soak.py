"""The session for days, in minutes: does anything grow?

`uv run python apps/benchmarks/soak.py BUNDLE [--events N] [--windows N] [--minutes M]` runs

1. `events` simulated plug events (1,000,000) and `windows` windows (10,000,000) through the thread-free core
   on an accelerated clock: modalities come, go and end, samples jump, freeze and are cut;
2. `minutes` (60; 0 leaves it out) of real time: a session with a record, whose sensors fail at random:
   blocked, lost, ended, flooding, with bad samples, with a clock that jumps; while others attach and detach.
   One of them is in a separate process, where it also crashes in native code, hangs and leaks.

Memory, threads, file descriptors and processes are measured all along. The run fails
if they grow over the second half, if a process is left, or if the record lacks a prediction. In the
first part a function stands for the encoders, which would take days; in the second they are real.
`tests/runtime/session/test_processes.py` runs a short form.
"""

import argparse
import ctypes
import gc
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from statistics import median

import numpy as np
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.record.reader import read_predictions, read_runs
from sensemble_runtime.session.session import Session
from sensemble_runtime.session.virtual import VirtualSession
from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision import backoff

PROBES = 40  # measurements of a part
GROWTH = 4096  # kB that resident memory may differ by: the allocator's own breathing
# How many more there may be: sensors come and go, each process takes three files, SQLite opens its log.
BREATH = {"threads": 2, "files": 4, "children": 1}
REPLUG = (1.0, 8.0)  # seconds for which an isolated sensor is attached


@dataclass
class Usage:
    """The resources of the process, over time."""

    memory: list[int] = field(default_factory=list)  # kB, resident
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    children: list[int] = field(default_factory=list)  # processes

    def probe(self) -> None:
        gc.collect()
        status = Path("/proc/self/status").read_text()
        self.memory.append(int(status.split("VmRSS:")[1].split()[0]))
        self.threads.append(threading.active_count())
        self.files.append(len(list(Path("/proc/self/fd").iterdir())))
        self.children.append(children())

    def growth(self) -> dict[str, float]:
        """Return by how much the median of the last quarter exceeds that of the second."""
        quarter = max(1, len(self.memory) // 4)
        return {
            name: median(values[-quarter:]) - median(values[quarter : 2 * quarter])
            for name, values in vars(self).items()
        }

    def check(self) -> None:
        grown = self.growth()
        assert grown["memory"] < GROWTH, f"memory grew by {grown['memory']} kB: {self.memory}"
        for name, breath in BREATH.items():
            assert grown[name] <= breath, f"{name} grew: {getattr(self, name)}"


def children() -> int:
    """Return how many processes this one has started that it has not yet seen end."""
    count = 0
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended meanwhile
            count += len(task.read_text().split())
    return count


def accelerated(bundle: Bundle, events: int, windows: int) -> tuple[int, int, Usage]:
    """Drive a session in virtual time through plug events and windows; return how many there were."""
    rng = random.Random(0)  # noqa: S311 - a simulation
    embedding = np.ones(bundle.manifest.embedding, np.float32)
    bundle.encode = lambda *_: embedding  # type: ignore[method-assign]
    bundle.load = lambda *_: None  # type: ignore[method-assign, assignment]
    pools = {m: [sample(bundle.specs[m], 0.0, seed) for seed in range(4)] for m in bundle.modalities}
    session, usage = VirtualSession(bundle), Usage()
    now, plugged, complete, next_probe = 0.0, 0, 0, 0.0
    while plugged < events or complete < windows:
        # As many windows between two plug events as there shall be in all.
        for modality in bundle.modalities:
            if plugged < events and rng.random() < 0.5:
                plug(session, modality, now, rng)
                plugged += 1
        for _ in range(max(1, round(windows / max(events, 1) / 2))):
            now += rng.choice((0.01, 0.1, 0.1, 0.1, 5.0))
            for modality in sorted(session.attached):
                for part in rng.choice(pools[modality]):
                    moment = now - rng.choice((0.0, 0.0, 0.0, 0.15))
                    session.give(Sample(modality, part.data, moment, cut=rng.random() < 0.01), now)
            for item in session.advance(now):
                if isinstance(item, Prediction):
                    complete += len(item.latencies)
                    assert np.isfinite(item.probabilities).all()
        share = max(min(1.0, plugged / max(events, 1)), 0) * min(1.0, complete / max(windows, 1))
        if share >= next_probe:
            usage.probe()
            next_probe += 1 / PROBES
            progress(f"{plugged:,} plug events, {complete:,} windows")
    usage.probe()
    return plugged, complete, usage


def plug(session: VirtualSession, modality: str, now: float, rng: random.Random) -> None:
    """Plug a sensor in, or out, or let it end."""
    if modality in session.attached:
        rng.choice((session.unplug, session.end))(modality, now)
    else:
        session.plug(modality, modality, now)


def sample(spec: InputSpec, time: float, seed: int) -> list[Sample]:
    """Return samples that make up one window, the last one at `time`."""
    rng = np.random.default_rng(seed)
    if spec.modality == "audio":
        return [Sample("audio", rng.uniform(-1, 1, spec.shape[1]).astype(np.float32), time)]
    if spec.modality == "text":
        return [Sample("text", f"caption {seed}", time)]
    _, count, *shape = spec.shape
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return [Sample("video", im, time - (count - 1 - i) / spec.rate) for i, im in enumerate(images)]


class Unruly:
    """A sensor that works for a while and then does what sensors do."""

    def __init__(self, modality: str, seed: int) -> None:
        self.modality, self.name = modality, f"{modality} {seed}"
        self._rng = random.Random(seed)  # noqa: S311 - a simulation
        self._spec: InputSpec | None = None
        self._pending: list[Sample] = []

    def open(self, spec: InputSpec) -> None:
        if self._rng.random() < 0.2:
            raise SensorUnavailableError("absent")
        self._spec, self._pending = spec, []

    def read(self, timeout: float) -> Sample | None:
        assert self._spec is not None
        fate = self._rng.random()
        if fate < 0.002:
            raise SensorLostError("unplugged")
        if fate < 0.003:
            raise ValueError("in native code")
        if fate < 0.004:
            raise SensorEndedError("over")
        if fate < 0.006:
            return Sample(self.modality, np.zeros(3, np.int16), time.monotonic())  # type: ignore[arg-type]
        if fate < 0.01:
            time.sleep(self._rng.choice((1, 1, 1, 10)) * timeout)  # frozen, or blocked
            return None
        if not self._pending:
            time.sleep(0 if fate < 0.05 else 0.01)
            jump = self._rng.choice((0.0, 0.0, 0.0, 0.0, -3.0, 2.0)) if fate < 0.1 else 0.0
            self._pending = sample(self._spec, time.monotonic() + jump, self._rng.randrange(4))
        return self._pending.pop(0)

    def close(self) -> None: ...


class Wild(Unruly):
    """Crashes, hangs and leaks in a separate process."""

    def __init__(self, modality: str, seed: int) -> None:
        super().__init__(modality, seed)
        self._hoard: list[bytearray] = []

    def read(self, timeout: float) -> Sample | None:
        fate = self._rng.random()
        if fate < 0.002:
            ctypes.string_at(0)
        if fate < 0.004:
            time.sleep(1000)
        if fate < 0.01:
            self._hoard.append(bytearray(1 << 26))
        return super().read(timeout)


def real_time(bundle: Bundle, seconds: float) -> tuple[int, int, Usage]:
    """Run a session with failing sensors; return how many predictions were made, and how many recorded."""
    backoff.RETRY = (0.05, 0.2)
    rng = random.Random(1)  # noqa: S311 - a simulation
    usage, seen = Usage(), [0]
    with tempfile.TemporaryDirectory() as scratch:
        record = Path(scratch) / "record.sqlite"
        with Session(bundle, record=record, lasting=True) as session:
            names: list[str] = []
            end, next_probe, next_plug, made = time.monotonic() + seconds, 0.0, 0.0, 0
            isolated, opened = "", 0
            consumer = threading.Thread(target=consume, args=(session, seen))
            consumer.start()
            while (now := time.monotonic()) < end:
                names += [
                    session.attach(Unruly(rng.choice(bundle.modalities), made + i))
                    for i in range(6 - len(names))
                ]
                made += 6
                if now >= next_plug:
                    session.detach(isolated)
                    # A worker imports its sensor by name, which `__main__` is not.
                    kind = import_module(Path(__file__).stem).Wild
                    isolated = session.attach(Isolated(kind, rng.choice(bundle.modalities), made))
                    next_plug = now + rng.uniform(*REPLUG)
                time.sleep(rng.uniform(0, 0.1))
                session.detach(names.pop(rng.randrange(len(names))))
                if now >= next_probe:
                    usage.probe()
                    opened = max(opened, usage.children[-1])
                    next_probe = now + seconds / PROBES
                    progress(f"{end - now:.0f} s to go, {seen[0]:,} predictions, {usage.memory[-1]:,} kB")
        consumer.join()
        assert opened, "no isolated sensor was ever seen"
        assert children() == 0, "a process is left"
        (run,) = read_runs(record)
        assert run.ended is not None
        recorded = len(read_predictions(record, run.id))
    return seen[0] + session.missed, recorded, usage


def consume(session: Session, seen: list[int]) -> None:
    for _ in session:
        seen[0] += 1


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:78}", end="", file=sys.stderr, flush=True)


def soak(folder: Path, events: int, windows: int, minutes: float, say: Callable[[str], None] = print) -> None:
    """Run both parts.

    Raises:
        AssertionError: something grew, or a prediction is not in the record.
    """
    began = time.monotonic()
    plugged, complete, usage = accelerated(Bundle.open(folder), events, windows)
    say(f"accelerated: {plugged:,} plug events, {complete:,} windows in {time.monotonic() - began:.0f} s")
    say(f"  grown over its second half: {usage.growth()}")
    usage.check()
    if not minutes:
        return
    before = threading.active_count()
    predicted, recorded, usage = real_time(Bundle.open(folder), 60 * minutes)
    say(f"real time: {minutes:g} min, {predicted:,} predictions, {recorded:,} recorded")
    say(f"  grown over its second half: {usage.growth()}")
    usage.check()
    assert predicted == recorded > 0, f"{predicted} predictions, {recorded} recorded"
    assert threading.active_count() == before, "a thread is left"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--windows", type=int, default=10_000_000)
    parser.add_argument("--minutes", type=float, default=60)
    given = parser.parse_args()
    soak(given.bundle, given.events, given.windows, given.minutes)
