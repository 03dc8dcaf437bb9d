"""Start and supervise the process of one isolated sensor: its pipe, its limits."""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import monotonic

from sensemble_sensors.errors import SensorCodeError, SensorLostError, SensorsError, SensorUnavailableError
from sensemble_sensors.isolation.worker import ERRORS, GRACE, SAMPLE, SIZES, Job, unpacked
from sensemble_sensors.readable import readable
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec

_MAX_FIELDS = 1 << 16  # bytes of the fields of a message; a worker's own are shorter
_MAX_DATA = 1 << 29  # bytes of a sample's data, more than a picture or a sample of sound has


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
    """A process that runs one sensor; OSError if the system has none for it.

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
        self._modality = spec.modality
        self._limits = limits
        self._received = bytearray()  # the beginning of a message
        self._samples: deque[Sample] = deque()
        self._opened = False
        self._over: SensorsError | None = None  # why there will be no more samples
        self._alive = 0.0  # the time of the sensor's last sign of life
        self._still = 0.0  # seconds waited since then
        self._pipe, theirs = os.pipe()
        job = Job(
            sensor_class,
            arguments,
            sys.path,
            asdict(spec),
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
                pass_fds=(theirs,),
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
        while not self._samples:
            if self._over is not None:
                raise self._over
            left = until - monotonic()
            if left <= 0 and received:
                return None
            self._supervise(self._receive(max(left, 0.0)))
            received = True
        return self._samples.popleft()

    def close(self) -> None:
        """Let the process end, and kill it if it does not in time."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._status(GRACE) is None:
            self.kill()
            self._status(GRACE)  # one that hangs in the kernel ends when the kernel lets it
        os.close(self._pipe)

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

    def _receive(self, timeout: float) -> float:
        """Handle the messages that come within `timeout` seconds, and return how long that took."""
        began = monotonic()
        if readable(self._pipe, timeout):
            data = os.read(self._pipe, 1 << 16)
            self._received += data
            while self._over is None and len(self._received) >= SIZES.size:
                first, second = SIZES.unpack_from(self._received)
                end = SIZES.size + first + second
                if first > _MAX_FIELDS or second > _MAX_DATA:
                    self._end("wrote an invalid message")
                elif len(self._received) < end:
                    break
                else:
                    message = bytes(self._received[SIZES.size : end])
                    del self._received[:end]
                    self._handle(message[:first], message[first:])
            if not data and self._over is None:
                self._explain_exit()
        return monotonic() - began

    def _handle(self, text: bytes, data: bytes) -> None:
        try:
            fields = json.loads(text)
            kind = fields["kind"]
            if kind in ERRORS:
                self._over = ERRORS[kind](str(fields["reason"]))
                if fields["trace"]:
                    self._over.add_note(str(fields["trace"]))
                return
            self._opened, alive = True, float(fields["alive"])
            if alive != self._alive:
                self._alive, self._still = alive, 0.0
            if kind == SAMPLE:
                self._samples.append(unpacked(self._modality, fields, data))
        except (ValueError, TypeError, KeyError, RecursionError):
            self._end("wrote an invalid message")

    def _explain_exit(self) -> None:
        """Set why the pipe has ended: nearly always because the process has."""
        status = self._status(GRACE)
        if status is None:
            self._end("closed its pipe")
        else:
            self._over = SensorLostError(f"{self._name}: its process {_exit(status)}")

    def _supervise(self, waited: float) -> None:
        """End a process that hangs; only time spent waiting counts, so a busy machine is not its fault."""
        self._still += waited
        if self._still > self._limits.hanging:
            self._end(f"hung for {self._limits.hanging:g} s")
        elif self._still and self._status(0) is not None and not readable(self._pipe, 0):
            self._explain_exit()  # though a child of it holds the pipe open

    def _end(self, reason: str) -> None:
        self.kill()
        self._over = self._over or SensorLostError(f"{self._name}: {reason}; its process was killed")


def _exit(status: int) -> str:
    return f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
