"""Find devices, and make the sensors that capture them."""

from collections.abc import Iterable, Sequence

from sensemble_sensors.devices import discovery
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.devices.watcher import Finder, caption_source, network_camera
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec, kind_name

# By kind. Captions have no devices that could be found.
_CLASSES: dict[str, type[Camera | Microphone]] = {"waveform": Microphone, "frames": Camera}
_FINDERS: dict[str, Finder] = {"waveform": discovery.watched_microphones, "frames": discovery.cameras}


def finders(specs: Iterable[InputSpec]) -> list[Finder]:
    """Return the functions that list the devices of `specs`: cameras, microphones or both."""
    kinds = {spec.kind for spec in specs}
    return [find for kind, find in _FINDERS.items() if kind in kinds]


def returning(cameras: Sequence[str], captions: Sequence[str]) -> list[Finder]:
    """Return finders of named sources, so that a sensor is reopened as soon as its source is back.

    They watch cameras at an address, caption files, pipes and local sockets. Other sources are retried at
    intervals; so are captions at an address, whose server would count a look as a subscriber.
    """
    return [
        *(network_camera(camera) for camera in cameras if "://" in camera),
        *(caption_source(source) for source in captions if source != "-" and "://" not in source),
    ]


def capture(
    device: type[Camera | Microphone], source: str, *, in_process: bool, name: str | None = None
) -> Sensor:
    """Return a camera or microphone on `source`, in a process of its own unless `in_process`."""
    return device(source, name) if in_process else Isolated(device, source, name)


def plug(device: Device, *, in_process: bool) -> Sensor:
    """Return the sensor of a device that a watcher found; it reopens that device after an absence."""
    device_class = _CLASSES[kind_name(device.modality)]
    return capture(device_class, device.key, in_process=in_process, name=device.name)
