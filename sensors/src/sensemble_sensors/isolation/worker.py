"""The process in which `isolation.Isolated` runs a sensor: `python -m sensemble_sensors.isolation.worker`.

Its order comes as JSON, a line of standard input, for an address may hold a password, and everybody can read
command lines. Samples go into the shared ring; a pipe carries a newline for
each, so that the other side wakes, and one JSON line for what becomes of the sensor. It ends when its
standard input does, which is when who started it closes it or dies, and by itself when it hangs.
"""

import faulthandler
import json
import mmap
import os
import resource
import signal
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any, NoReturn

from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorUnavailableError
from sensemble_sensors.isolation.ring import Ring
from sensemble_sensors.sensor import Driven, Sensor
from sensemble_sensors.spec import InputSpec

READ = 0.1  # seconds that one read may wait, and so about how long a healthy worker takes to end
FLOOD = 200  # samples a second that pass at most; no sensor needs to give more
GRACE = 2.0  # seconds that a worker has to end by itself
_LONGEST = 2000  # characters of what became of a sensor, for a person to read

_KINDS: dict[type[BaseException], str] = {
    SensorUnavailableError: "unavailable",
    SensorLostError: "lost",
    SensorEndedError: "ended",
}
_STDIN = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do; made of what JSON can hold.

    Attributes:
        kind: "module:class" of the sensor.
        arguments: of its constructor.
        path: where to look for modules.
        spec: the fields of its `InputSpec`.
        memory: the descriptor of the ring's memory.
        pipe: the descriptor to write to.
        opening: seconds after which it ends by itself if it hangs while opening.
        hanging: the same, while reading.
        resident: bytes of memory above which it ends by itself.
    """

    kind: str
    arguments: list[Any]
    path: list[str]
    spec: dict[str, Any]
    memory: int
    pipe: int
    opening: float
    hanging: float
    resident: int


def main(order: Order) -> None:
    """Run the sensor of `order` until told to stop, or until it fails."""
    stop = Event()
    Thread(target=_watch, args=(stop,), daemon=True).start()
    try:
        _run(order, stop)
    except BaseException as error:  # noqa: BLE001 - the other side gets whatever it is
        kind = _KINDS.get(type(error), "lost")
        text = str(error) if type(error) in _KINDS else f"failed with {type(error).__name__}: {error}"
        _tell(order.pipe, {"kind": kind, "reason": " ".join(text.split())[:_LONGEST]})


def _run(order: Order, stop: Event) -> None:
    spec = InputSpec(**{**order.spec, "shape": tuple(order.spec["shape"])})
    ring = Ring(mmap.mmap(order.memory, Ring.size(spec)), spec)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        # A thread of C ends the process, even where native code hangs and holds Python's lock.
        faulthandler.dump_traceback_later(order.opening, exit=True, file=nowhere)
        sys.path[:] = order.path
        module, _, name = order.kind.partition(":")
        sensor: Sensor = getattr(import_module(module), name)(*order.arguments)
        sensor.open(spec)
        try:
            _tell(order.pipe, {"kind": "opened", "reason": ""})
            armed = due = 0.0
            driven = sensor if isinstance(sensor, Driven) else None
            while not stop.is_set():
                now = monotonic()
                ring.beat(driven.answered if driven else now)
                if now - armed > 1:
                    faulthandler.dump_traceback_later(order.hanging, exit=True, file=nowhere)
                    armed = now
                    _measure(sensor, order.resident)
                sample = sensor.read(READ)
                if sample is not None:
                    ring.put(sample)
                    _tell(order.pipe, None)
                    stop.wait(max(due - monotonic(), 0.0))
                    due = monotonic() + 1 / FLOOD
        finally:
            sensor.close()
            faulthandler.cancel_dump_traceback_later()


def _measure(sensor: Sensor, resident: int) -> None:
    if _resident() > resident:
        raise SensorLostError(f"{sensor.name}: its process took more than {resident >> 20} MB of memory")


def _resident() -> int:
    """Return the bytes of memory that this process holds; on macOS the most that it ever held."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not `ru_maxrss`: Linux hands the parent's on through fork and exec.
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _watch(stop: Event) -> None:
    """Wait for the end of standard input, then give the sensor some time to close, and end."""
    while os.read(_STDIN, 1):
        pass
    stop.set()
    Event().wait(GRACE)
    _leave()


def _tell(pipe: int, news: dict[str, str] | None) -> None:
    """Write one line; what only wakes (None) may be lost where the pipe is full, for then nobody sleeps."""
    try:
        os.set_blocking(pipe, news is not None)
        os.write(pipe, (json.dumps(news) if news else "").encode() + b"\n")
    except BlockingIOError:
        pass
    except BrokenPipeError:
        _leave()


def _leave() -> NoReturn:
    """End this process and what it started, for who would kill that may be dead."""
    if os.getpgrp() == os.getpid():  # as `isolation` starts it; else the group is a shell's
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(Order(**json.loads(sys.stdin.buffer.readline())))
    _leave()  # what a library does when Python ends is of no use here, and may hang
