"""The process that runs an isolated sensor: `python -m sensemble_sensors.isolation.worker`.

Its job is a JSON line on standard input, not on the command line, which everybody can read: an address may
hold a password. Messages go through a pipe: fields in JSON and the data of a sample, after the size of each.
A slow reader never delays the sensor: what does not fit into the pipe waits in a queue. The process ends with
its standard input, that is when its parent closes it or dies, and by itself when it hangs.
"""

import ctypes
import faulthandler
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from struct import Struct
from threading import Event, Thread
from time import monotonic
from typing import Any, NoReturn

import numpy as np

from sensemble_sensors.errors import (
    SensorCodeError,
    SensorEndedError,
    SensorLostError,
    SensorsError,
    SensorUnavailableError,
    text_of,
)
from sensemble_sensors.kinds.kind import Kind, described
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.polling import writable
from sensemble_sensors.process_memory import memory
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import MAX_CAPTION, Data, Driven, Sample, Sensor
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.strict_json import decode

READ = 0.2  # seconds that one read may wait, and so about how long a healthy worker takes to end
_SOON = 0.02  # seconds that it may wait while samples wait for a slow reader
_MOMENT = 0.005  # seconds between two reads of a reader that keeps up
GRACE = 2.0  # seconds that a worker has to end by itself
_MAX_REASON = 2000  # characters, for a person to read
_MAX_TRACE = 8000  # characters of a traceback: its last frames

# The errors that a worker reports to its parent. Of any other, the system's count as `SensorLostError`, the
# rest as `SensorCodeError`.
ERRORS = {
    error.__name__: error
    for error in (SensorUnavailableError, SensorLostError, SensorEndedError, SensorCodeError)
}
SIZES = Struct("=II")  # of a message's fields, and of its data, before them
# The kind of a message with a sample; that of an error is its name in `ERRORS`, that of others `alive`. Every
# message but an error carries `alive`, the time of the sensor's last sign of life, and means that the sensor
# is open.
SAMPLE = "sample"
_STDIN = 0
_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
_TEXT = "text"  # the type of a caption's data; that of an array is the type of its elements
_TYPES = (np.uint8, np.uint16, np.float32)  # of the elements of an array


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """The job of a worker, in types that JSON can hold."""

    sensor_class: str  # "module:class"
    arguments: list[Any]  # of its constructor
    path: list[str]  # `sys.path`
    spec: dict[str, Any]  # its `InputSpec`, encoded
    pipe: int  # the descriptor to write to
    opening: float  # seconds after which the process ends itself if opening hangs
    hanging: float  # seconds after which it ends itself if reading hangs
    resident: int  # bytes of memory above which it ends itself


def main(job: WorkerJob) -> None:
    """Run the sensor of `job` until standard input ends or the sensor fails."""
    stop = Event()
    _outlast_no_parent()
    Thread(target=_watch, args=(stop,), daemon=True).start()
    sys.path[:] = job.path  # before the kind, which a package there may bring
    spec: InputSpec = decode(InputSpec, job.spec)
    outbox = Outbox(job.pipe, kind_of(spec))
    try:
        _run(job, spec, outbox, stop)
    except BaseException as error:  # noqa: BLE001 - the parent gets every failure
        outbox.end(_reported(error))


def _run(job: WorkerJob, spec: InputSpec, outbox: "Outbox", stop: Event) -> None:
    kind = kind_of(spec)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        # A thread in C ends the process even where native code hangs and holds the interpreter lock.
        faulthandler.dump_traceback_later(job.opening, exit=True, file=nowhere)
        module, _, name = job.sensor_class.partition(":")
        sensor: Sensor = getattr(import_module(module), name)(*job.arguments)
        sensor.open(spec)
        try:
            driven = sensor if isinstance(sensor, Driven) else None
            armed = due = pause = 0.0
            sample = None
            while not stop.is_set():
                now = monotonic()
                # Sent before the next call, which may end the process, unless the reader is slow.
                sent = outbox.send(sample, driven.answered if driven else now)
                if pause > 0:
                    stop.wait(pause)
                if now - armed > 1:
                    faulthandler.dump_traceback_later(job.hanging, exit=True, file=nowhere)
                    armed = now
                    if memory() > job.resident:
                        limit = f"{job.resident >> 20} MB of memory"
                        raise SensorLostError(f"{sensor.name}: its process took more than {limit}")
                sample = sensor.read(READ if sent else _SOON)
                now = monotonic()
                pause = due - now
                if sample is not None:
                    _check(sample, spec)
                    due = max(due, now) + 1 / kind.flood
        finally:
            sensor.close()
            faulthandler.cancel_dump_traceback_later()


class Outbox:
    """Sends samples through a pipe, a sign of life where there is none, and the error with which it ends."""

    def __init__(self, pipe: int, kind: Kind) -> None:
        self._pipe = pipe
        self._queue = SampleQueue(kind.waiting, continuous=kind.continuous)
        self._rest = memoryview(b"")  # of a message that did not fit
        self._patience = READ  # seconds for a reader that has kept up
        os.set_blocking(pipe, False)

    def send(self, sample: Sample | None, alive: float) -> bool:
        """Send a sample, after those that wait; return False if the reader is too slow.

        `alive` is the sensor's last sign of life.
        """
        if sample is not None:
            self._queue.put(sample.frozen())
        elif not self._rest:
            self._rest = _message({"kind": "alive", "alive": alive})
        until = monotonic() + self._patience
        while self._rest or self._next(alive):
            left = len(self._rest)
            if self._write():
                continue
            if len(self._rest) < left:  # a reader that is back takes a moment for each pipe-full
                until = max(until, monotonic() + _MOMENT)
            if not writable(self._pipe, max(until - monotonic(), 0.0)):
                self._patience = 0.0
                return False
        self._patience = READ
        return True

    def end(self, error: SensorsError) -> None:
        """Send the samples that wait, then an error, however slow the reader."""
        os.set_blocking(self._pipe, True)
        while self._rest or self._next(monotonic()):
            self._write()
        trace = "".join(getattr(error, "__notes__", ()))
        fields = {"kind": type(error).__name__, "reason": str(error)[:_MAX_REASON], "trace": trace}
        self._rest = _message(fields)
        while self._rest:
            self._write()

    def _next(self, alive: float) -> bool:
        sample = self._queue.get(0)
        if sample is not None:
            fields, data = packed(sample)
            self._rest = _message({**fields, "alive": alive}, data)
        return sample is not None

    def _write(self) -> bool:
        """Write what fits into the pipe now; return whether that is all."""
        try:
            self._rest = self._rest[os.write(self._pipe, self._rest) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            _leave()
        return not self._rest


def _check(sample: Sample, spec: InputSpec) -> None:
    if sample.modality != spec.modality:
        raise ValueError(f"gave a sample of {sample.modality}, not of {spec.modality}")
    data: object = sample.data
    if not isinstance(data, str) and not (isinstance(data, np.ndarray) and data.dtype in _TYPES):
        raise ValueError(f"gave {described(data)}, no {kind_of(spec).noun}")


def packed(sample: Sample) -> tuple[dict[str, Any], bytes]:
    """Return the fields of a sample for JSON, and the bytes of its data."""
    fields: dict[str, Any] = {"kind": SAMPLE, "time": float(sample.time), "cut": bool(sample.cut)}
    fields["lost"] = int(sample.lost)
    if isinstance(sample.data, str):
        return {**fields, "type": _TEXT}, sample.data.encode(errors="replace")[:MAX_CAPTION]
    return {**fields, "type": sample.data.dtype.str, "shape": sample.data.shape}, sample.data.tobytes()


def unpacked(modality: str, fields: Mapping[str, Any], data: bytes) -> Sample:
    """Return the sample of a message; raise ValueError, TypeError or KeyError if it is none."""
    content: Data
    if fields["type"] == _TEXT:
        content = data.decode(errors="replace")
    else:
        content = np.frombuffer(data, fields["type"]).reshape(fields["shape"])
    return Sample(modality, content, float(fields["time"]), bool(fields["cut"]), int(fields["lost"]))


def _reported(error: BaseException) -> SensorsError:
    name = type(error).__name__
    if name in ERRORS and isinstance(error, SensorsError):
        return error
    kind = SensorLostError if isinstance(error, OSError) else SensorCodeError
    reported = kind(f"failed with {name}: {text_of(error)}")
    reported.add_note("".join(traceback.format_tb(error.__traceback__))[-_MAX_TRACE:])
    return reported


def _outlast_no_parent() -> None:
    """Wake a stopped worker (SIGSTOP) when its parent dies, so that it kills its children."""
    # SIGKILL would spare the children. The kernel also sends the signal when only the thread ends that
    # started the worker; SIGCONT then does no harm.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)


def _watch(stop: Event) -> None:
    """Wait for the end of standard input, give the sensor some time to close, and end the process."""
    while os.read(_STDIN, 1):
        pass
    stop.set()
    Event().wait(GRACE)
    _leave()


def _message(fields: Mapping[str, Any], data: bytes = b"") -> memoryview:
    text = json.dumps(fields).encode()
    return memoryview(SIZES.pack(len(text), len(data)) + text + data)


def _leave() -> NoReturn:
    """End this process and its children: the parent that would kill them may be dead."""
    if os.getpgrp() == os.getpid():  # as `Isolated` starts it; otherwise the group is a shell's
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(WorkerJob(**json.loads(sys.stdin.buffer.readline())))
    _leave()  # without the libraries' exit handlers, which may hang
