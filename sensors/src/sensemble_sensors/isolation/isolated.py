"""Any sensor in a process of its own: one that hangs, crashes, leaks or floods takes nothing with it.

Samples come through memory without a name, so that nothing is left behind whichever side is killed, and a
worker ends when the process that started it does. Needs POSIX.
"""

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

from sensemble_sensors.errors import SensorEndedError, SensorLostError, SensorsError, SensorUnavailableError
from sensemble_sensors.isolation.ring import Ring
from sensemble_sensors.isolation.worker import GRACE, Order
from sensemble_sensors.readable import readable
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

_ERRORS = {"unavailable": SensorUnavailableError, "lost": SensorLostError, "ended": SensorEndedError}
_LINE = 1 << 16  # bytes that a line of a worker may have; its own are shorter


@dataclass(frozen=True, slots=True)
class Limits:
    """What an isolated sensor may take; one that takes more is killed, and is lost.

    Attributes:
        opening: seconds from starting its process until it is open.
        hanging: seconds without a sign of life, be it of the process or of the driver that it waits for.
        resident: bytes of memory.
    """

    opening: float = 15.0
    hanging: float = 3.0
    resident: int = 1 << 30


class Isolated:
    """Runs a sensor in a supervised process of its own, and gives what that gives.

    Args:
        kind: the sensor's class, which a fresh process can import.
        arguments: of its constructor; they travel as JSON.
        limits: what it may take.

    Raises:
        TypeError: a fresh process cannot import the class, or JSON cannot hold the arguments.
    """

    def __init__(self, kind: type[Sensor], *arguments: str | float | None, limits: Limits = Limits()) -> None:
        if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
            raise TypeError(f"{kind.__qualname__}: its own process cannot import it; put it into a module")
        try:
            json.dumps(arguments)
        except TypeError as error:
            raise TypeError(
                f"{kind.__qualname__}{arguments!r}: give strings, numbers and None ({error})"
            ) from error
        self._inner = kind(*arguments)  # never opened: it says what the one in the process is
        self.modality = self._inner.modality
        self.name = self._inner.name
        self._kind = f"{kind.__module__}:{kind.__qualname__}"
        self._arguments = arguments
        self._limits = limits
        self._worker: _Worker | None = None

    @property
    def live(self) -> bool:
        """As the sensor has it."""
        return self._inner.live

    @property
    def pid(self) -> int | None:
        """The number of the process; None while closed."""
        return self._worker.process.pid if self._worker else None

    def open(self, spec: InputSpec) -> None:
        """Start the process and open the sensor in it.

        Raises:
            SensorUnavailableError: what the sensor says, or that it did not open in time, or that the system
                has no process for it.
        """
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        try:
            self._worker = _Worker(self.name, self._kind, list(self._arguments), spec, self._limits)
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: its process cannot be started ({error.strerror})"
            ) from error
        try:
            self._worker.wait_until_open()
        except SensorUnavailableError:
            self.close()
            raise

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`. A sensor that took more than its limits is lost."""
        if self._worker is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._worker.read(timeout)

    def close(self) -> None:
        """Close the sensor, or end its process if it does not return."""
        if self._worker is not None:
            self._worker.close()
        self._worker = None

    def kill(self) -> None:
        """End the process and its children at once, from any thread; whoever reads finds the sensor lost."""
        worker = self._worker  # which its own thread may close meanwhile
        if worker is not None:
            worker.kill()


class _Worker:
    """One process, its ring and its pipe."""

    def __init__(
        self, name: str, kind: str, arguments: list[str | float | None], spec: InputSpec, limits: Limits
    ) -> None:
        self._name = name
        self._limits = limits
        self._partial = b""
        self._opened = False
        self._over: SensorsError | None = None
        self._beaten = 0.0
        self._still = 0.0  # seconds waited without a sign of life
        size = Ring.size(spec)
        with _unnamed() as file:
            file.truncate(size)
            self._ring = Ring(mmap.mmap(file.fileno(), size), spec)
            self._pipe, theirs = os.pipe()
            order = Order(
                kind,
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
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "sensemble_sensors.isolation.worker"],
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(file.fileno(), theirs),
                    start_new_session=True,  # Ctrl-C is for who started it; and a group, to be killed as one
                )
            except BaseException:
                os.close(self._pipe)
                raise
            finally:
                os.close(theirs)
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended, which its pipe tells
                self.process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")

    def wait_until_open(self) -> None:
        until = monotonic() + self._limits.opening
        while not self._opened:
            if self._over is not None:
                raise SensorUnavailableError(str(self._over)) from self._over
            left = until - monotonic()
            if left <= 0:
                self._end(f"did not open within {self._limits.opening:g} s")
            self._listen(max(left, 0.0))

    def read(self, timeout: float) -> Sample | None:
        until = monotonic() + timeout
        listened = False
        while (sample := self._get()) is None:
            if self._over is not None:
                raise self._over
            left = until - monotonic()
            if left <= 0 and listened:
                return None
            self._supervise(self._listen(max(left, 0.0)))
            listened = True
        return sample

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        if self._status(GRACE) is None:
            self.kill()
            self._status(GRACE)  # after that it is in the kernel's hands: it ends when they let go
        os.close(self._pipe)
        del self._ring  # the memory too, even if some error's traceback still knows this worker

    def kill(self) -> None:
        """Kill the process and what it started."""
        if self.process.returncode is None:
            self._kill_group()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # none is left; macOS says so by the latter
            os.killpg(self.process.pid, signal.SIGKILL)

    def _status(self, patience: float) -> int | None:
        """Return how the process ended, None if it does not in time; what it started ends with it."""
        reaped = self.process.returncode is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        if self.process.returncode is not None and not reaped:
            self._kill_group()  # at once, before its number can be another's
        return self.process.returncode

    def _get(self) -> Sample | None:
        """Return the ring's next sample; rubbish in it ends the worker, for nothing after can be trusted."""
        try:
            return self._ring.get()
        except ValueError as error:
            self._end(f"gave what is no sample ({error})")
            return None

    def _listen(self, timeout: float) -> float:
        """Take what the pipe brings within `timeout` seconds, and return how long that took."""
        began = monotonic()
        if readable(self._pipe, timeout):
            data = os.read(self._pipe, 1 << 16)
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in filter(None, lines):
                self._hear(line)
            if len(self._partial) > _LINE:
                self._end("wrote rubbish into its pipe")
                self._partial = b""
            if not data and self._over is None:
                self._mourn()
        return monotonic() - began

    def _hear(self, line: bytes) -> None:
        """Take one line: that the sensor is open, or why it is over."""
        try:
            news = json.loads(line)
            kind, text = str(news["kind"]), str(news["reason"])
        except (ValueError, TypeError, KeyError, RecursionError):
            self._end("wrote rubbish into its pipe")
            return
        self._opened |= kind == "opened"
        if kind in _ERRORS and self._over is None:
            self._over = _ERRORS[kind](text)

    def _mourn(self) -> None:
        """Tell why the pipe has ended: nearly always because the process has."""
        status = self._status(GRACE)
        if status is None:
            self._end("closed its pipe")
        else:
            self._over = SensorLostError(f"{self._name}: its process {_death(status)}")

    def _supervise(self, waited: float) -> None:
        """Count waiting time alone, so that a machine with too much to do is no fault of the sensor."""
        beaten = self._ring.beaten
        self._still = 0.0 if beaten != self._beaten else self._still + waited
        self._beaten = beaten
        if self._still > self._limits.hanging:
            self._end(f"hung for {self._limits.hanging:g} s")
        elif self._still and self._status(0) is not None and not readable(self._pipe, 0):
            self._mourn()  # though a child of it holds the pipe open

    def _end(self, reason: str) -> None:
        self.kill()
        self._over = self._over or SensorLostError(f"{self._name}: {reason}; its process was killed")


def _unnamed() -> IO[bytes]:
    """Open a file without a name, so that it is gone with the last process that holds it."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("sensemble"), "r+b")
    return tempfile.TemporaryFile()


def _death(status: int) -> str:
    return f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
