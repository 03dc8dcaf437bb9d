"""The process that runs an isolated sensor: `python -m sensemble_sensors.isolation.worker`.

Its job is a JSON line on standard input, not on the command line, which everybody can read: an address may
hold a password. Samples go into the shared ring. A pipe carries a newline for each, to wake the reader, and a
JSON message when the sensor is open or over. The process ends with its standard input, that is when its
parent closes it or dies, and by itself when it hangs.
"""

import ctypes
import faulthandler
import json
import mmap
import os
import resource
import signal
import sys
import traceback
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NoReturn

from sensemble_sensors.errors import (
    SensorCodeError,
    SensorEndedError,
    SensorLostError,
    SensorUnavailableError,
    text_of,
)
from sensemble_sensors.isolation.ring import Ring
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.sample_queue import Driven, SampleQueue
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

READ = 0.1  # seconds that one read may wait, and so about how long a healthy worker takes to end
BURST = 0.25  # seconds of them that may come at once from a thread that captures
GRACE = 2.0  # seconds that a worker has to end by itself
_MAX_REASON = 2000  # characters, for a person to read
_MAX_TRACE = 8000  # characters of a traceback: its last frames

ERRORS = {
    error.__name__: error
    for error in (SensorUnavailableError, SensorLostError, SensorEndedError, SensorCodeError)
}
"""The errors that a worker reports to its parent, by name. Of any other, the system's count as
`SensorLostError`, the rest as `SensorCodeError`."""
_STDIN = 0
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
_SENDING = Lock()  # of the pipe, which two threads may write to


@dataclass(frozen=True, slots=True)
class Job:
    """The job of a worker, in types that JSON can hold."""

    sensor_class: str  # "module:class"
    arguments: list[Any]  # of its constructor
    path: list[str]  # `sys.path`
    spec: dict[str, Any]  # the fields of its `InputSpec`
    memory: int  # the descriptor of the ring's memory
    pipe: int  # the descriptor to write to
    opening: float  # seconds after which the process ends itself if opening hangs
    hanging: float  # seconds after which it ends itself if reading hangs
    resident: int  # bytes of memory above which it ends itself


def main(job: Job) -> None:
    """Run the sensor of `job` until standard input ends or the sensor fails."""
    stop = Event()
    _outlast_no_parent()
    Thread(target=_watch, args=(stop,), daemon=True).start()
    try:
        _run(job, stop)
    except BaseException as error:  # noqa: BLE001 - the parent gets every failure
        kind, text, trace = type(error).__name__, text_of(error), ""
        if kind not in ERRORS:
            text = f"failed with {kind}: {text}"
            kind = (SensorLostError if isinstance(error, OSError) else SensorCodeError).__name__
            trace = "".join(traceback.format_tb(error.__traceback__))
        _send(job.pipe, {"kind": kind, "reason": text[:_MAX_REASON], "trace": trace[-_MAX_TRACE:]})


def _run(job: Job, stop: Event) -> None:
    spec = InputSpec.from_json(job.spec)
    flood = kind_of(spec).flood
    ring = Ring(mmap.mmap(job.memory, Ring.size(spec)), spec)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        # A thread in C ends the process even where native code hangs and holds the interpreter lock.
        faulthandler.dump_traceback_later(job.opening, exit=True, file=nowhere)
        sys.path[:] = job.path
        module, _, name = job.sensor_class.partition(":")
        sensor: Sensor = getattr(import_module(module), name)(*job.arguments)
        driven = sensor if isinstance(sensor, Driven) else None
        if driven is not None:
            driven.capture_into(_RingQueue(ring, job.pipe, flood))
        sensor.open(spec)
        try:
            _send(job.pipe, {"kind": "opened", "reason": ""})
            armed = due = 0.0
            while not stop.is_set():
                now = monotonic()
                ring.set_heartbeat(driven.answered if driven else now)
                if now - armed > 1:
                    faulthandler.dump_traceback_later(job.hanging, exit=True, file=nowhere)
                    armed = now
                    if _resident() > job.resident:
                        limit = f"{job.resident >> 20} MB of memory"
                        raise SensorLostError(f"{sensor.name}: its process took more than {limit}")
                sample = sensor.read(READ)
                if sample is not None:
                    ring.put(sample)
                    _send(job.pipe, None)
                    stop.wait(max(due - monotonic(), 0.0))
                    due = monotonic() + 1 / flood
        finally:
            sensor.close()
            faulthandler.cancel_dump_traceback_later()


class _RingQueue(SampleQueue):
    """Puts each sample into the ring from the thread that captures it; `get` only waits for the end."""

    def __init__(self, ring: Ring, pipe: int, flood: int) -> None:
        super().__init__(1)
        self._ring, self._pipe, self._step = ring, pipe, 1 / flood
        self._ahead = 0.0  # until when the samples so far would have lasted at the rate of a flood

    def put(self, sample: Sample) -> None:
        """Put a sample into the ring and wake the reader; drop and count a flood."""
        now = monotonic()
        self._ahead = max(self._ahead, now) + self._step
        if self._ahead - now > BURST:
            self._ahead -= self._step
            self._lost += 1 + sample.lost
            return
        self._ring.put(replace(sample, cut=sample.cut or self._cut, lost=sample.lost + self._lost))
        self._cut, self._lost = False, 0
        _send(self._pipe, None)


def _resident() -> int:
    """Return the bytes of memory that this process holds; on macOS the most it has held so far."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not `ru_maxrss`, which on Linux a process inherits from its parent.
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _outlast_no_parent() -> None:
    """Let a worker that is stopped (SIGSTOP) go on when its parent dies, to see that and end its children.

    SIGKILL would spare the children. The kernel also sends the signal when only the thread ends that started
    the worker; SIGCONT then does no harm.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


def _watch(stop: Event) -> None:
    """Wait for the end of standard input, give the sensor some time to close, and end the process."""
    while os.read(_STDIN, 1):
        pass
    stop.set()
    Event().wait(GRACE)
    _leave()


def _send(pipe: int, message: dict[str, str] | None) -> None:
    """Write a message, or only wake the reader (None), which a full pipe has done already."""
    try:
        with _SENDING:
            os.set_blocking(pipe, message is not None)
            os.write(pipe, (json.dumps(message) if message else "").encode() + b"\n")
    except BlockingIOError:
        pass
    except BrokenPipeError:
        _leave()


def _leave() -> NoReturn:
    """End this process and its children: the parent that would kill them may be dead."""
    if os.getpgrp() == os.getpid():  # as `WorkerProcess` starts it; otherwise the group is a shell's
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(Job(**json.loads(sys.stdin.buffer.readline())))
    _leave()  # without the libraries' exit handlers, which may hang
