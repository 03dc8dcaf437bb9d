"""The process that runs an isolated sensor: `python -m sensemble_sensors.isolation.worker`.

Its job is a JSON line on standard input, not on the command line, which everybody can read: an address may
hold a password. Messages go through a pipe: fields in JSON and the data of a sample, after the size of each.
A thread sends them, so that a slow reader never delays the sensor. The process ends with its standard input,
that is when its parent closes it or dies, and by itself when it hangs.
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
from sensemble_sensors.kinds.kind import described
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.process_memory import memory
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import MAX_CAPTION, Data, Driven, Sample, Sensor
from sensemble_sensors.spec import InputSpec

READ = 0.1  # seconds that one read may wait, and so about how long a healthy worker takes to end
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
# The kind of a message with a sample; that of an error is its name in `ERRORS`, that of others `alive`. All
# but errors state when the sensor was last `alive`, and say that it is open.
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
    spec: dict[str, Any]  # the fields of its `InputSpec`
    pipe: int  # the descriptor to write to
    opening: float  # seconds after which the process ends itself if opening hangs
    hanging: float  # seconds after which it ends itself if reading hangs
    resident: int  # bytes of memory above which it ends itself


def main(job: WorkerJob) -> None:
    """Run the sensor of `job` until standard input ends or the sensor fails."""
    stop = Event()
    _outlast_no_parent()
    Thread(target=_watch, args=(stop,), daemon=True).start()
    sender = _Sender(job.pipe)
    try:
        _run(job, sender, stop)
    except BaseException as error:  # noqa: BLE001 - the parent gets every failure
        sender.queue.end(_reported(error))
    if sender.ident is None:  # it did not open
        sender.start()
    while sender.is_alive() and not stop.is_set():
        sender.join(READ)


def _run(job: WorkerJob, sender: "_Sender", stop: Event) -> None:
    sys.path[:] = job.path
    spec = InputSpec.from_json(job.spec)
    kind = kind_of(spec)
    sender.queue = SampleQueue(kind.waiting, continuous=kind.continuous)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        # A thread in C ends the process even where native code hangs and holds the interpreter lock.
        faulthandler.dump_traceback_later(job.opening, exit=True, file=nowhere)
        module, _, name = job.sensor_class.partition(":")
        sensor: Sensor = getattr(import_module(module), name)(*job.arguments)
        sensor.open(spec)
        try:
            _send(job.pipe, {"kind": "alive", "alive": monotonic()})
            sender.start()
            driven = sensor if isinstance(sensor, Driven) else None
            armed = due = 0.0
            sent = True
            while not stop.is_set():
                now = monotonic()
                sender.alive = driven.answered if driven else now
                if now - armed > 1:
                    faulthandler.dump_traceback_later(job.hanging, exit=True, file=nowhere)
                    armed = now
                    if memory() > job.resident:
                        limit = f"{job.resident >> 20} MB of memory"
                        raise SensorLostError(f"{sensor.name}: its process took more than {limit}")
                sample = sensor.read(READ)
                if sample is not None:
                    _check(sample, spec)
                    sender.queue.put(sample.frozen())
                    # Send it before the next call, which may end the process, unless the reader is slow.
                    sent = sender.queue.wait_until_used(READ if sent else 0.0)
                    stop.wait(max(due - monotonic(), 0.0))
                    due = monotonic() + 1 / kind.flood
        finally:
            sensor.close()
            faulthandler.cancel_dump_traceback_later()


class _Sender(Thread):
    """Sends the samples of a queue, a sign of life where there is none, and the error with which it ends."""

    def __init__(self, pipe: int) -> None:
        super().__init__(daemon=True)
        self.queue, self.alive = SampleQueue(1), 0.0  # the sensor's last sign of life
        self._pipe = pipe

    def run(self) -> None:
        try:
            while True:
                sample = self.queue.get(READ)
                fields, data = ({"kind": "alive"}, b"") if sample is None else _packed(sample)
                _send(self._pipe, {**fields, "alive": self.alive}, data)
        except SensorsError as error:
            trace = "".join(getattr(error, "__notes__", ()))
            fields = {"kind": type(error).__name__, "reason": str(error)[:_MAX_REASON], "trace": trace}
            _send(self._pipe, fields)


def _check(sample: Sample, spec: InputSpec) -> None:
    if sample.modality != spec.modality:
        raise ValueError(f"gave a sample of {sample.modality}, not of {spec.modality}")
    data: object = sample.data
    if not isinstance(data, str) and not (isinstance(data, np.ndarray) and data.dtype in _TYPES):
        raise ValueError(f"gave {described(data)}, no {kind_of(spec).noun}")


def _packed(sample: Sample) -> tuple[dict[str, Any], bytes]:
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
    """Let a worker that is stopped (SIGSTOP) go on when its parent dies, to see that and end its children."""
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


def _send(pipe: int, fields: Mapping[str, Any], data: bytes = b"") -> None:
    text = json.dumps(fields).encode()
    message = memoryview(SIZES.pack(len(text), len(data)) + text + data)
    try:
        while message:
            message = message[os.write(pipe, message) :]
    except BrokenPipeError:
        _leave()


def _leave() -> NoReturn:
    """End this process and its children: the parent that would kill them may be dead."""
    if os.getpgrp() == os.getpid():  # as `Isolated` starts it; otherwise the group is a shell's
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


if __name__ == "__main__":
    main(WorkerJob(**json.loads(sys.stdin.buffer.readline())))
    _leave()  # without the libraries' exit handlers, which may hang
