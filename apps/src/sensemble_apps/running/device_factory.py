"""Find devices, and make the sensors that capture them."""

from collections.abc import Collection, Sequence

from sensemble_sensors.devices import discovery
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.devices.watcher import Finder, caption_source, network_camera
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import kind_name

# By kind. Captions have no devices that could be found.
_CLASSES: dict[str, type[Camera | Microphone]] = {"waveform": Microphone, "frames": Camera}
_FINDERS: dict[str, Finder] = {"waveform": discovery.watched_microphones, "frames": discovery.cameras}


def finders(modalities: Collection[str]) -> list[Finder]:
    """Return the functions that list the devices of `modalities`: cameras, microphones or both."""
    kinds = {kind_name(modality) for modality in modalities}
    return [find for kind, find in _FINDERS.items() if kind in kinds]


def returning(cameras: Sequence[str], captions: Sequence[str]) -> list[Finder]:
    """Return functions that see when a named source is back, so that its sensor is reopened at once.

    They watch cameras at an address, and caption files, pipes and local sockets. All other sources are only
    retried at intervals, as are captions at an address: their server would take a look for a subscriber.
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
    """Return the sensor of a device that a watcher found; after an absence, it finds that device again."""
    found = _CLASSES[kind_name(device.modality)]
    return capture(found, device.key, in_process=in_process, name=device.name)
