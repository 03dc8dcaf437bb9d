"""Start and supervise the process of one isolated sensor: its ring, its pipe, its limits."""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import monotonic
from typing import IO

from sensemble_sensors.errors import SensorCodeError, SensorLostError, SensorsError, SensorUnavailableError
from sensemble_sensors.isolation.ring import Ring
from sensemble_sensors.isolation.worker import ERRORS, GRACE, Job
from sensemble_sensors.readable import readable
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_MAX_MESSAGE = 1 << 16  # bytes of a message in the pipe; a worker's own are shorter


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an isolated sensor; a process that exceeds one is killed, and the sensor is lost.

    Attributes:
        opening: seconds from the start of the process until the sensor is open.
        hanging: seconds without a sign of life from the process, or from the driver that it waits for.
        resident: bytes of memory.
    """

    opening: float = 15.0
    hanging: float = 3.0
    resident: int = 1 << 30


DEFAULT = Limits()


class WorkerProcess:
    """A process that runs one sensor, with its ring and its pipe; OSError if the system has none for it.

    `name` is the sensor's, for messages; `sensor_class` is "module:class".
    """

    def __init__(
        self,
        name: str,
        sensor_class: str,
        arguments: list[str | float | None],
        spec: InputSpec,
        limits: Limits,
    ) -> None:
        self._name = name
        self._limits = limits
        self._partial = b""  # the beginning of a message
        self._opened = False
        self._over: SensorsError | None = None  # why there will be no more samples
        self._heartbeat = 0.0
        self._still = 0.0  # seconds waited without a sign of life
        size = Ring.size(spec)
        with _unnamed() as file:
            file.truncate(size)
            self._ring = Ring(mmap.mmap(file.fileno(), size), spec)
            self._pipe, theirs = os.pipe()
            job = Job(
                sensor_class,
                arguments,
                sys.path,
                asdict(spec),
                file.fileno(),
                theirs,
                opening=2 * limits.opening,  # later than this side, which can say why
                hanging=2 * limits.hanging,
                resident=limits.resident,
            )
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "sensemble_sensors.isolation.worker"],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(file.fileno(), theirs),
                    start_new_session=True,  # Ctrl-C is for the parent; and a group can be killed as one
                )
            except BaseException:
                os.close(self._pipe)
                raise
            finally:
                os.close(theirs)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended already, which the pipe reports
                self._process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def wait_until_open(self) -> None:
        """Wait until the sensor is open.

        Raises SensorUnavailableError if it does not open, or not in time; SensorCodeError if its code fails.
        """
        until = monotonic() + self._limits.opening
        while not self._opened:
            if isinstance(self._over, SensorCodeError):
                raise self._over
            if self._over is not None:
                raise SensorUnavailableError(str(self._over)) from self._over
            left = until - monotonic()
            if left <= 0:
                self._end(f"did not open within {self._limits.opening:g} s")
            self._receive(max(left, 0.0))

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample, or None after `timeout` seconds; SensorsError when the sensor is over."""
        until = monotonic() + timeout
        received = False
        while (sample := self._get()) is None:
            if self._over is not None:
                raise self._over
            left = until - monotonic()
            if left <= 0 and received:
                return None
            self._supervise(self._receive(max(left, 0.0)))
            received = True
        return sample

    def close(self) -> None:
        """Let the process end, and kill it if it does not in time."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._status(GRACE) is None:
            self.kill()
            self._status(GRACE)  # one that hangs in the kernel ends when the kernel lets it
        os.close(self._pipe)
        del self._ring  # unmap the memory even if a traceback still refers to this object

    def kill(self) -> None:
        """Kill the process and its children."""
        if self._process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # none is left; macOS raises the latter for that
            os.killpg(self._process.pid, signal.SIGKILL)

    def _status(self, patience: float) -> int | None:
        """Return the exit status, None if the process does not end in time; its children end with it."""
        reaped = self._process.returncode is not None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        if self._process.returncode is not None and not reaped:
            self._kill_group()  # at once, before the group's number can be another's
        return self._process.returncode

    def _get(self) -> Sample | None:
        """Return the ring's next sample; end a worker that wrote invalid data, for no more can be trusted."""
        try:
            return self._ring.get()
        except ValueError as error:
            self._end(f"gave invalid data ({error})")
            return None

    def _receive(self, timeout: float) -> float:
        """Handle the messages that come within `timeout` seconds, and return how long that took."""
        began = monotonic()
        if readable(self._pipe, timeout):
            data = os.read(self._pipe, 1 << 16)
            *messages, self._partial = (self._partial + data).split(b"\n")
            for message in filter(None, messages):
                self._handle(message)
            if len(self._partial) > _MAX_MESSAGE:
                self._end("wrote an invalid message")
                self._partial = b""
            if not data and self._over is None:
                self._explain_exit()
        return monotonic() - began

    def _handle(self, message: bytes) -> None:
        try:
            fields = json.loads(message)
            kind, reason = str(fields["kind"]), str(fields["reason"])
        except (ValueError, TypeError, KeyError, RecursionError):
            self._end("wrote an invalid message")
            return
        self._opened |= kind == "opened"
        if kind in ERRORS and self._over is None:
            self._over = ERRORS[kind](reason)
            if trace := fields.get("trace"):
                self._over.add_note(str(trace))

    def _explain_exit(self) -> None:
        """Set why the pipe has ended: nearly always because the process has."""
        status = self._status(GRACE)
        if status is None:
            self._end("closed its pipe")
        else:
            self._over = SensorLostError(f"{self._name}: its process {_exit(status)}")

    def _supervise(self, waited: float) -> None:
        """End a process that hangs; only time spent waiting counts, so a busy machine is not its fault."""
        heartbeat = self._ring.heartbeat
        self._still = 0.0 if heartbeat != self._heartbeat else self._still + waited
        self._heartbeat = heartbeat
        if self._still > self._limits.hanging:
            self._end(f"hung for {self._limits.hanging:g} s")
        elif self._still and self._status(0) is not None and not readable(self._pipe, 0):
            self._explain_exit()  # though a child of it holds the pipe open

    def _end(self, reason: str) -> None:
        self.kill()
        self._over = self._over or SensorLostError(f"{self._name}: {reason}; its process was killed")


def _unnamed() -> IO[bytes]:
    """Open a file without a name, which is gone with the last process that holds it."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("sensemble"), "r+b")
    return tempfile.TemporaryFile()


def _exit(status: int) -> str:
    return f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
