"""Run any sensor in a supervised process, which ends with this one. Needs POSIX."""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from time import monotonic

from sensemble_sensors.clock import RunningTime
from sensemble_sensors.errors import SensorCodeError, SensorLostError, SensorsError, SensorUnavailableError
from sensemble_sensors.isolation.worker import ERRORS, GRACE, READ, SAMPLE, SIZES, WorkerJob, unpacked
from sensemble_sensors.polling import readable
from sensemble_sensors.sensor import Sample, Sensor, is_played, is_pushed
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.strict_json import encode

_Process = subprocess.Popen[bytes]
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


class Isolated:
    """A sensor that runs in its own supervised process.

    A fresh process must be able to import its class, and JSON to hold the arguments of the constructor;
    otherwise TypeError.

    Attributes:
        limits: may be set; `hanging` counts at once, the others from the next `open`.
    """

    def __init__(
        self, sensor_class: type[Sensor], *arguments: str | float | None, limits: Limits = DEFAULT
    ) -> None:
        name = sensor_class.__qualname__
        if sensor_class.__module__ == "__main__" or "<locals>" in name:
            raise TypeError(f"{name}: its own process cannot import it; put it into a module")
        try:
            json.dumps(arguments)
        except TypeError as error:
            raise TypeError(f"{name}{arguments!r}: give strings, numbers and None ({error})") from error
        # Never opened: only for what it says of itself.
        self._twin = sensor_class(*arguments)
        self.modality = self._twin.modality
        self.name = self._twin.name
        self._class = f"{sensor_class.__module__}:{name}"
        self._arguments = arguments
        self.limits = limits
        self._process: _Process | None = None
        self._pipe = -1  # the descriptor to read from, while there is a process
        self._forget()

    def _forget(self) -> None:
        self._received = bytearray()  # the beginning of a message
        self._samples: deque[Sample] = deque()
        self._opened = False
        self._over: SensorsError | None = None  # why there will be no more samples
        self._alive = 0.0  # the time of the sensor's last sign of life
        self._ran = RunningTime()
        self._ran_then = 0.0  # at that sign

    @property
    def played(self) -> bool:
        """See `Sensor`."""
        return is_played(self._twin)

    @property
    def pushed(self) -> bool:
        """See `Sensor`."""
        return is_pushed(self._twin)

    @property
    def pid(self) -> int | None:
        """The number of the process; None while closed."""
        return self._process.pid if self._process else None

    def open(self, spec: InputSpec) -> None:
        """Start the process and open the sensor in it.

        Raises SensorUnavailableError if it does not open, or not in time; SensorCodeError if its code fails.
        """
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        self._forget()
        try:
            process = self._process = self._started(spec)
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: its process cannot be started ({error.strerror})"
            ) from error
        try:
            self._wait_until_open(process)
        except SensorsError:
            self.close()
            raise

    def _started(self, spec: InputSpec) -> _Process:
        self._pipe, theirs = os.pipe()
        job = WorkerJob(
            self._class,
            list(self._arguments),
            sys.path,
            encode(spec),
            theirs,
            opening=2 * self.limits.opening,  # later than this side, which can say why
            hanging=2 * self.limits.hanging,
            resident=self.limits.resident,
        )
        try:
            process = subprocess.Popen(
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
        if process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended already, which the pipe reports
                process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        return process

    def _wait_until_open(self, process: _Process) -> None:
        while not self._opened:
            if isinstance(self._over, SensorCodeError):
                raise self._over
            if self._over is not None:
                raise SensorUnavailableError(str(self._over)) from self._over
            if self._still > self.limits.opening:
                self._end(f"did not open within {self.limits.opening:g} s")
            self._receive(process, READ)

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`. A sensor that exceeds its limits is lost."""
        process = self._process
        if process is None:
            raise SensorLostError(f"{self.name}: is closed")
        until = monotonic() + timeout
        received = False
        while not self._samples:
            if self._over is not None:
                raise self._over
            left = until - monotonic()
            if left <= 0 and received:
                return None
            self._receive(process, max(left, 0.0))
            self._supervise(process)
            received = True
        return self._samples.popleft()

    def close(self) -> None:
        """Close the sensor and let its process end; kill it if it does not in time."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if _status(process, GRACE) is None:
            _kill_group(process)
            _status(process, GRACE)  # one that hangs in the kernel ends when the kernel lets it
        os.close(self._pipe)
        self._process = None

    def kill(self) -> None:
        """Kill the process and its children at once, from any thread; the next read finds the sensor lost."""
        process = self._process  # another thread may close it meanwhile
        if process is not None and process.returncode is None:
            _kill_group(process)

    def _receive(self, process: _Process, timeout: float) -> None:
        """Handle the messages that come within `timeout` seconds."""
        self._ran.look(monotonic())
        found = readable(self._pipe, timeout)
        self._ran.look(monotonic())
        if found:
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
                self._explain_exit(process)

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
                self._alive, self._ran_then = alive, self._ran.seconds
            if kind == SAMPLE:
                self._samples.append(unpacked(self.modality, fields, data))
        except (ValueError, TypeError, KeyError, RecursionError):
            self._end("wrote an invalid message")

    @property
    def _still(self) -> float:
        """Seconds in which this process ran since the sensor's last sign of life."""
        return self._ran.seconds - self._ran_then

    def _explain_exit(self, process: _Process) -> None:
        status = _status(process, GRACE)
        if status is None:
            self._end("closed its pipe")
        else:
            self._over = SensorLostError(f"{self.name}: its process {_exit(status)}")

    def _supervise(self, process: _Process) -> None:
        """End a process that hangs."""
        if self._still > self.limits.hanging:
            self._end(f"hung for {self.limits.hanging:g} s")
        elif self._still and _status(process, 0) is not None and not readable(self._pipe, 0):
            self._explain_exit(process)  # though a child of it holds the pipe open

    def _end(self, reason: str) -> None:
        self.kill()
        self._over = self._over or SensorLostError(f"{self.name}: {reason}; its process was killed")


def _kill_group(process: _Process) -> None:
    with suppress(ProcessLookupError, PermissionError):  # none is left; macOS raises the latter for that
        os.killpg(process.pid, signal.SIGKILL)


def _status(process: _Process, patience: float) -> int | None:
    """Return the exit status, None if the process does not end in time; its children end with it."""
    reaped = process.returncode is not None
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience)
    if process.returncode is not None and not reaped:
        _kill_group(process)  # at once, before the group's number can be another's
    return process.returncode


def _exit(status: int) -> str:
    return f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
