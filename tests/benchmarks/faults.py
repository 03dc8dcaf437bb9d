"""Every sensor x every fault, in one session: `uv run python tests/benchmarks/faults.py [--only WORDS]`.

The parts are real: a microphone on a PulseAudio server, an MJPEG camera on the loopback, captions from a
pipe, each in a process of its own. What no part does when told (native crashes, wrong clocks, NaN) happens in
the worker's process, around the real sensor. Each row is one fault, put in, awaited, taken out, and awaited.

`found` is from putting it in to the session's first word about it, `back` from taking it out to the
modality being live again. `lost` counts the windows of the other modalities that were complete and never
encoded, `gap` is the longest time between two of their embeddings, and `others` what was told of them; the
row "nothing" says what that is without a fault. Memory of the session's process, its threads, open
files and worker processes, and the memory of those, are those before and after.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sensemble_runtime.bundle import Bundle
from sensemble_runtime.events import Event, SensorEvent
from sensemble_runtime.hotplug import Hotplug
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session import Session
from sensemble_sensors.devices import Device
from sensemble_sensors.isolation import Isolated
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.watcher import Watcher, caption_source, network_camera

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS), str(Path(__file__).parent)]

from faulty import Faulty  # noqa: E402 - the tests are no package
from parts import NetworkCamera, SoundServer, noise, running_sound_server  # noqa: E402

PATIENCE = 90.0  # seconds after which what did not happen counts as never
QUIET = 8.0  # seconds of the row "nothing", and for which a fault that nothing is told of is left in
SETTLE = 6.0  # seconds after a row, so that what the last seconds are measured by is over
SPEAK = 0.5  # seconds between two captions

IN_THE_WORKER = ("crash", "hang", "hang with Python's lock", "leak", "raise", "flood")
CLOCKS = ("clock ahead by an hour", "clock behind by an hour")
FAULTS = {
    "video": (
        *("unplugged", "stall", "freeze", "black", "slow", "garbage", "resize"),
        *(*IN_THE_WORKER, *CLOCKS, "drift to 0.8 s"),
    ),
    "audio": (
        *("unplugged", "silent", "clipped", "NaN", "half the rate"),
        *(*IN_THE_WORKER, *CLOCKS, "drift to 0.8 s"),
    ),
    "text": ("unplugged", *IN_THE_WORKER, "clock ahead by an hour"),
}


@dataclass(frozen=True)
class State:
    """What a session holds: MB resident, threads, open files, worker processes and their MB resident."""

    memory: float
    threads: int
    files: int
    workers: int
    beside: float

    def __str__(self) -> str:
        return f"{self.memory:.0f} MB {self.threads}t {self.files}f {self.workers}p {self.beside:.0f} MB"


def state() -> State:
    workers = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"sensemble_sensors.worker" in (folder / "cmdline").read_bytes():
                workers.append(resident(int(folder.name)))
    files = len(list(Path("/proc/self/fd").iterdir()))
    return State(resident(os.getpid()), threading.active_count(), files, len(workers), sum(workers))


def resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Room:
    """The three devices, the session on them, and a log of what it told."""

    def __init__(self, bundle: Bundle, folder: Path, server: SoundServer, camera: NetworkCamera) -> None:
        self.events: list[SensorEvent] = []
        self.predictions: list[Prediction] = []
        self._folder, self._server, self._camera = folder, server, camera
        self._pipe = folder / "captions"
        self._sound = noise(folder / "noise.wav", 0.3, seconds=600)
        self._player: subprocess.Popen[bytes] | None = None
        self._module = ""
        self._over = threading.Event()
        for modality in bundle.modalities:
            self._orders(modality).write_text("")
        self.session = Session(bundle, on_event=self._hear)

    @contextmanager
    def running(self) -> Iterator[None]:
        os.mkfifo(self._pipe)
        self._plug_microphone()
        sources = {"audio": "desk", "text": str(self._pipe), "video": self._camera.address}
        finders = [caption_source(sources["text"]), network_camera(sources["video"])]
        helpers = [threading.Thread(target=self._talk), threading.Thread(target=self._collect)]
        with self.session:
            names = {
                source: self.session.attach(Isolated(Faulty, modality, source, str(self._orders(modality))))
                for modality, source in sources.items()
            }
            # Nothing is new here, and a microphone's own retries need no watcher: its list of devices stays.
            with Watcher(finders, Hotplug(self.session, new, names)):
                for helper in helpers:
                    helper.start()
                try:
                    yield
                finally:
                    self._over.set()
        for helper in helpers:
            helper.join()
        self._unplug_microphone()

    def put_in(self, modality: str, fault: str) -> None:
        match modality, fault:
            case "video", "unplugged":
                self._camera.switch_off()
            case "video", "stall" | "freeze" | "black" | "slow" | "garbage" | "resize":
                self._camera.act = fault
            case "audio", "unplugged":
                self._unplug_microphone()
            case "audio", "silent":
                self._silence()
            case "text", "unplugged":
                self._pipe.unlink()
            case _:
                self._order(modality, fault)

    def take_out(self, modality: str, fault: str) -> None:
        match modality, fault:
            case "video", "unplugged":
                self._camera.switch_on()
            case "audio", "unplugged":
                self._plug_microphone()
            case "audio", "silent":
                self._player = self._server.play(self._sound, "desk")
            case "text", "unplugged":
                os.mkfifo(self._pipe)
        self._camera.act = "well"
        self._order(modality, "")

    def _orders(self, modality: str) -> Path:
        return self._folder / f"{modality}.orders"

    def _order(self, modality: str, order: str) -> None:
        beside = self._orders(modality).with_suffix(".new")
        beside.write_text(order)
        beside.replace(self._orders(modality))

    def _plug_microphone(self) -> None:
        self._module = self._server.plug("desk")
        self._player = self._server.play(self._sound, "desk")

    def _unplug_microphone(self) -> None:
        self._server.unplug(self._module)
        self._silence()

    def _silence(self) -> None:
        if self._player is not None:
            self._player.terminate()
            self._player.wait(30)

    def _hear(self, event: Event) -> None:
        if isinstance(event, SensorEvent):
            self.events.append(event)

    def _collect(self) -> None:
        for prediction in self.session:
            self.predictions.append(prediction)

    def _talk(self) -> None:
        while not self._over.wait(SPEAK):
            with suppress(OSError):  # nobody listens
                pipe = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
                os.write(pipe, b"one person\n")
                os.close(pipe)


def new(device: Device) -> Sensor:
    raise AssertionError(f"{device}: every device of this room is known")


def until(condition: Callable[[], object], patience: float = PATIENCE) -> float | None:
    """Wait for it; the seconds that took, or None if it never came."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            return None
        time.sleep(0.01)
    return time.monotonic() - began


def lost(predictions: list[Prediction], others: list[str]) -> tuple[str, float]:
    """How many windows of `others` were dropped, of all, and the longest gap between their embeddings."""
    encoded = sum(modality in p.latencies for p in predictions for modality in others)
    dropped = sum(predictions[-1].dropped.get(m, 0) - predictions[0].dropped.get(m, 0) for m in others)
    gaps = [0.0]
    for modality in others:
        times = [p.time for p in predictions if modality in p.latencies]
        gaps += list(np.diff(times)) if len(times) > 1 else [float("inf")]
    return f"{dropped} of {dropped + encoded}", max(gaps)


def row(room: Room, modality: str, fault: str) -> tuple[str, ...]:
    everything = tuple(sorted(FAULTS))
    others = [m for m in everything if m != modality]
    room.predictions.clear()
    before, heard = state(), len(room.events)

    def told(modalities: Collection[str] = (modality,)) -> list[SensorEvent]:
        wrong = ("lost", "unwell", "unavailable", "failed")
        return [e for e in room.events[heard:] if e.modality in modalities and e.kind in wrong]

    began = time.monotonic()
    if fault != "nothing":
        room.put_in(modality, fault)
    if fault in ("nothing", "resize"):
        until(told, QUIET)
    else:
        until(told)
        until(lambda: modality not in room.session.live, QUIET)
    found = f"{told()[0].time - began:.1f} s" if told() else "-"
    reason = told()[0].reason if told() else ""
    back: float | None = 0.0
    if fault != "nothing":
        room.take_out(modality, fault)
        back = until(lambda: room.session.live == everything)
    time.sleep(SETTLE)
    beside = "; ".join(f"{e.modality}: {e.reason}" for e in told(others)) or "nothing"
    missed, gap = lost(list(room.predictions), others)
    after = state()
    never = "never" if back is None else f"{back:.1f} s"
    return (
        modality,
        fault,
        found,
        reason,
        never,
        missed,
        f"{gap:.2f} s",
        beside,
        f"{before}",
        f"{after}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="rows that contain this, such as `video` or `crash`")
    parser.add_argument("--bundle", type=Path, help="a bundle of three sensors; without it, one is built")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if arguments.bundle is None:
            builder = TESTS / "runtime" / "build_bundle.py"
            subprocess.run([sys.executable, builder, folder / "built"], check=True, stderr=subprocess.DEVNULL)
        bundle = Bundle.open(arguments.bundle or folder / "built" / "bundle")
        server = stack.enter_context(running_sound_server(folder))
        server.unplug_speaker()
        camera = NetworkCamera()
        stack.callback(camera.switch_off)
        room = Room(bundle, folder, server, camera)
        stack.enter_context(room.running())
        until(lambda: len(room.session.live) == len(FAULTS))
        table = Table(title=f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start")
        for title in ("sensor", "fault", "found", "as", "back", "lost", "gap", "others", "before", "after"):
            table.add_column(title, overflow="fold")
        wanted = [(m, "nothing") for m in ("video",)] + [(m, f) for m, all_ in FAULTS.items() for f in all_]
        for modality, fault in wanted:
            if arguments.only in f"{modality} {fault}":
                cells = row(room, modality, fault)
                sys.stderr.write("  ".join(cells) + "\n")
                table.add_row(*cells)
        Console(width=200).print(table)


if __name__ == "__main__":
    main()
