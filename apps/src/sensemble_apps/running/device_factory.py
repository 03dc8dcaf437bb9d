"""Make the sensors of sources and of found devices."""

from collections.abc import Mapping

from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.sources import device_of
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec


def capture(spec: InputSpec, source: str, *, in_process: bool, name: str | None = None) -> Sensor:
    """Return the sensor of a modality on `source`, in a process of its own if it is native code.

    Raises SensorUnavailableError if no sensor of its kind is on such a source.
    """
    device, own = device_of(spec, source)
    apart = getattr(device, "native", False) and not in_process
    sensor: Sensor = Isolated(device, own, name, spec.modality) if apart else device(own, name, spec.modality)
    return sensor


def plug(specs: Mapping[str, InputSpec], device: Device, *, in_process: bool) -> Sensor:
    """Return the sensor of a device that a watcher found; it reopens that device after an absence."""
    return capture(specs[device.modality], device.key, in_process=in_process, name=device.name)
