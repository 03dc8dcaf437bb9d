"""Run any sensor in a supervised process of its own. Needs POSIX.

Nothing is left behind when either side is killed: the worker ends with the process that started it.
"""

import json

from sensemble_sensors.errors import SensorLostError, SensorsError, SensorUnavailableError
from sensemble_sensors.isolation.worker_process import DEFAULT, Limits, WorkerProcess
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec


class Isolated:
    """A sensor that runs in a supervised process of its own.

    Args:
        sensor_class: the sensor's class, which a fresh process can import.
        arguments: of its constructor; they travel as JSON.
        limits: of the process.

    Raises TypeError if a fresh process cannot import the class, or JSON cannot hold the arguments.
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
        self._twin = sensor_class(
            *arguments
        )  # never opened: it knows the properties of the one in the process
        self.modality = self._twin.modality
        self.name = self._twin.name
        self._class = f"{sensor_class.__module__}:{name}"
        self._arguments = arguments
        self._limits = limits
        self._worker: WorkerProcess | None = None

    @property
    def live(self) -> bool:
        """See `Sensor`."""
        return self._twin.live

    @property
    def pid(self) -> int | None:
        """The number of the process; None while closed."""
        return self._worker.pid if self._worker else None

    def open(self, spec: InputSpec) -> None:
        """Start the process and open the sensor in it; raise as `WorkerProcess.wait_until_open`."""
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: gives {self.modality}, not {spec.modality}")
        self.close()
        try:
            self._worker = WorkerProcess(self.name, self._class, list(self._arguments), spec, self._limits)
        except OSError as error:
            raise SensorUnavailableError(
                f"{self.name}: its process cannot be started ({error.strerror})"
            ) from error
        try:
            self._worker.wait_until_open()
        except SensorsError:
            self.close()
            raise

    def read(self, timeout: float) -> Sample | None:
        """Return the next sample; see `Sensor`. A sensor that exceeds its limits is lost."""
        if self._worker is None:
            raise SensorLostError(f"{self.name}: is closed")
        return self._worker.read(timeout)

    def close(self) -> None:
        """Close the sensor; kill its process if it does not end in time."""
        if self._worker is not None:
            self._worker.close()
        self._worker = None

    def kill(self) -> None:
        """Kill the process and its children at once, from any thread; the next read finds the sensor lost."""
        worker = self._worker  # another thread may close it meanwhile
        if worker is not None:
            worker.kill()
