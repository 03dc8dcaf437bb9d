"""Every sensor x every fault, in one run: `uv run python apps/benchmarks/faults.py [--only WORDS]`.

What is measured is `sensemble run BUNDLE --camera URL --microphone desk.monitor --captions PIPE` itself, in
this process. The parts are real: a microphone on a PulseAudio server, an MJPEG camera on the loopback, each
in a process of its own, and captions from a pipe, in a thread. What no part does on request (native crashes,
wrong clocks, NaN) happens around the real sensor, in its process. A thread cannot be killed, so captions,
which are read by Python alone, are not made to crash, hang or leak.

Each row is one fault, put in, awaited, taken out, and awaited; then as much time again without a fault, for
what the load of the machine takes is no fault's. `found` is from putting it in to the first word about it,
`back` from taking it out to the modality being in the live set of a prediction. `lost` counts the windows of
the other modalities that came due, by the times of their own samples and by the captions that were written,
and were in no prediction, of all that came due; `gap` is the longest time without a prediction from one of
them. Both say in brackets what they are without the fault. `others` is what they reported. Memory of the
session's process, its threads, open files and worker processes, and the memory of those, are those before and
after.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table
from sensemble_apps.commands import run
from sensemble_apps.commands.run import Run
from sensemble_apps.running import sources
from sensemble_apps.running.view_events import Predicted
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.supervision.events import Event

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # a worker imports `faulty` by name

from faulty import ORDERS, FaultyCamera, FaultyCaptions, FaultyMicrophone  # noqa: E402 - no package

from tests.parts import NetworkCamera, SoundServer, noise, running_sound_server  # noqa: E402

PATIENCE = 90.0  # seconds after which what did not happen counts as never
QUIET = 8.0  # seconds for which a fault that nothing reports is left in
SETTLE = 6.0  # seconds after a fault, so that what the last seconds are measured by is over
SPEAK = 0.5  # seconds between two captions

IN_ANY = ("raise", "flood", "clock ahead by an hour", "clock behind by an hour")
IN_A_PROCESS = ("crash", "hang", "hang with Python's lock", "leak", "drift to 0.8 s")
FAULTS = {
    "video": (
        *("unplugged", "stall", "freeze", "black", "slow", "garbage", "resize"),
        *(*IN_ANY, *IN_A_PROCESS),
    ),
    "audio": (*("unplugged", "silent", "clipped", "NaN", "half the rate"), *IN_ANY, *IN_A_PROCESS),
    "text": ("unplugged", *IN_ANY),
}
HARMLESS = ("resize", "clock behind by an hour")  # to captions, whose age nobody can know


@dataclass(frozen=True)
class State:
    """Resources of a session: MB resident, threads, open files, worker processes and their MB resident."""

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
            if (
                parent == os.getpid()
                and b"sensemble_sensors.isolation.worker" in (folder / "cmdline").read_bytes()
            ):
                workers.append(resident(int(folder.name)))
    files = len(list(Path("/proc/self/fd").iterdir()))
    return State(resident(os.getpid()), threading.active_count(), files, len(workers), sum(workers))


def resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Room:
    """The three devices, `sensemble run` on them, and a log of what it reported."""

    def __init__(self, bundle: Bundle, folder: Path, server: SoundServer, camera: NetworkCamera) -> None:
        self.changes: list[Event] = []
        self.predictions: list[Prediction] = []
        self.said: list[tuple[float, str]] = []  # when, and which caption
        self.heard: set[str] = set()  # captions that came to the encoder
        self.specs = bundle.specs
        self._bundle, self._folder, self._server, self._camera = bundle, folder, server, camera
        self._pipe = folder / "captions"
        self._sound = noise(folder / "noise.wav", 0.3, seconds=3600)
        self._player: subprocess.Popen[bytes] | None = None
        self._module = ""
        self._over = threading.Event()
        for modality in FAULTS:
            (folder / modality).write_text("")

    @property
    def live(self) -> tuple[str, ...]:
        """The live set of the last prediction."""
        return self.predictions[-1].live if self.predictions else ()

    @contextmanager
    def running(self) -> Iterator[None]:
        os.mkfifo(self._pipe)
        self._plug_microphone()
        tokenize = self._bundle.tokenize

        def hear(caption: str) -> np.ndarray:
            self.heard.add(caption)
            return tokenize(caption)

        helpers = [threading.Thread(target=self._talk), threading.Thread(target=self._run)]
        with ExitStack() as stack:
            for patched in (
                patch.dict(os.environ, {ORDERS: str(self._folder)}),
                patch.object(sources, "Camera", FaultyCamera),
                patch.object(sources, "Captions", FaultyCaptions),
                patch.object(sources, "Microphone", FaultyMicrophone),
                patch.object(self._bundle, "tokenize", hear),
            ):
                stack.enter_context(patched)
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

    def _order(self, modality: str, order: str) -> None:
        beside = self._folder / f"{modality}.new"
        beside.write_text(order)
        beside.replace(self._folder / modality)

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

    def _run(self) -> None:
        command = Run(
            bundle=self._bundle.path,
            camera=(self._camera.address,),
            microphone=("desk.monitor",),
            captions=(str(self._pipe),),
        )
        with closing(run.play(command, self._bundle)) as stream:
            for item in stream:
                if isinstance(item, Predicted):
                    self.predictions.append(item.prediction)
                elif isinstance(item, Event) and item.kind != "live":
                    self.changes.append(item)
                if self._over.is_set():
                    return

    def _talk(self) -> None:
        number = 0
        while not self._over.wait(SPEAK):
            with suppress(OSError):  # nobody listens
                pipe = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
                number += 1
                os.write(pipe, f"person {number}\n".encode())
                os.close(pipe)
                self.said.append((time.monotonic(), f"person {number}"))


@dataclass(frozen=True)
class Others:
    """The windows of some modalities in a while: how many came due, how many were lost, and the gap."""

    due: int
    lost: int
    gap: float


def others(room: Room, modalities: Sequence[str], began: float) -> Others:
    """Count what came of them since `began`, until the last seconds, which may still be on their way."""
    end = time.monotonic() - 1.0
    due = lost = 0
    gap = 0.0
    for modality in modalities:
        made = [p for p in list(room.predictions) if modality in p.latencies and began <= p.time < end]
        gap = max([gap, *np.diff([began, *(p.time for p in made), end])])
        if modality == "text":
            said = [caption for when, caption in list(room.said) if began <= when < end]
            due, lost = due + len(said), lost + sum(caption not in room.heard for caption in said)
        else:
            ends = [p.time - p.ages[modality] for p in made if modality in p.ages]
            came = round((ends[-1] - ends[0]) / room.specs[modality].hop) + 1 if ends else 1
            due, lost = due + came, lost + max(0, came - len(ends))
    return Others(due, lost, gap)


def until(condition: Callable[[], object], patience: float = PATIENCE) -> float | None:
    """Wait for it; the seconds that took, or None if it never came."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            return None
        time.sleep(0.01)
    return time.monotonic() - began


def row(room: Room, modality: str, fault: str) -> tuple[str, ...]:
    everything = tuple(sorted(FAULTS))
    rest = [m for m in everything if m != modality]
    del room.predictions[:-1], room.said[:]  # for the memory is measured, too
    before, heard = state(), len(room.changes)

    def reported(modalities: Collection[str] = (modality,)) -> list[str]:
        # Who leaks is slow before it is ended for it, and would keep what it took.
        wrong = ("lost",) if fault == "leak" else ("lost", "unhealthy", "unavailable", "failed")
        found = [c for c in room.changes[heard:] if c.modality in modalities]
        return [f"{c.modality} {c.kind}: {c.text}" for c in found if c.kind in wrong]

    began = time.monotonic()
    room.put_in(modality, fault)
    found = until(reported, QUIET if fault in HARMLESS else PATIENCE)
    if found is not None:
        until(lambda: modality not in room.live, QUIET)
    reason = reported()[0].partition(": ")[2] if reported() else ""
    room.take_out(modality, fault)
    back = until(lambda: room.live == everything)
    time.sleep(SETTLE)
    with_it, length = others(room, rest, began), time.monotonic() - began
    beside = "; ".join(reported(rest)) or "nothing"
    after = state()
    began = time.monotonic()
    time.sleep(length)
    without = others(room, rest, began)
    return (
        modality,
        fault,
        "-" if found is None else f"{found:.1f} s",
        reason,
        "never" if back is None else f"{back:.1f} s",
        f"{with_it.lost} of {with_it.due} ({without.lost} of {without.due})",
        f"{with_it.gap:.2f} s ({without.gap:.2f} s)",
        beside,
        f"{before}",
        f"{after}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="rows that contain this, such as `video` or `crash`")
    parser.add_argument("--bundle", type=Path, help="a bundle of three sensors; without it, one is built")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if arguments.bundle is None:
            builder = ROOT / "tests" / "runtime" / "build_bundle.py"
            subprocess.run([sys.executable, builder, folder / "built"], check=True, stderr=subprocess.DEVNULL)
        bundle = Bundle.open(arguments.bundle or folder / "built" / "bundle")
        server = stack.enter_context(running_sound_server(folder))
        server.unplug_speaker()
        camera = NetworkCamera()
        stack.callback(camera.switch_off)
        room = Room(bundle, folder, server, camera)
        stack.enter_context(room.running())
        until(lambda: len(room.live) == len(FAULTS))
        time.sleep(SETTLE)
        table = Table(title=f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start")
        for title in ("sensor", "fault", "found", "as", "back", "lost", "gap", "others", "before", "after"):
            table.add_column(title, overflow="fold")
        for modality, fault in ((m, f) for m, all_ in FAULTS.items() for f in all_):
            if arguments.only in f"{modality} {fault}":
                cells = row(room, modality, fault)
                sys.stderr.write("  ".join(cells) + "\n")
                table.add_row(*cells)
        Console(width=200).print(table)


if __name__ == "__main__":
    main()
