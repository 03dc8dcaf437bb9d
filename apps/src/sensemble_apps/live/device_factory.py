"""Where cameras and microphones are looked for, and the sensors that are made of them."""

from collections.abc import Collection, Sequence

from sensemble_sensors.devices import discovery
from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.devices.watcher import Finder, caption_source, network_camera
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.sensor import Sensor

_KINDS: dict[str, type[Camera | Microphone]] = {"audio": Microphone, "video": Camera}


def finders(modalities: Collection[str]) -> list[Finder]:
    """Return where cameras (`video`) and microphones (`audio`), each once, are looked for."""
    known: dict[str, Finder] = {"audio": discovery.inputs_afresh, "video": discovery.cameras}
    return [find for modality, find in known.items() if modality in modalities]


def returning(cameras: Sequence[str], captions: Sequence[str]) -> list[Finder]:
    """Return where what was named is looked for, to be tried at once when it is back.

    Cameras at an address, and caption files, pipes and local sockets; the others are tried again and again.
    So are captions at an address, for whoever serves them takes a look for a listener.
    """
    return [
        *(network_camera(camera) for camera in cameras if "://" in camera),
        *(caption_source(source) for source in captions if source != "-" and "://" not in source),
    ]


def capture(modality: str, source: str, *, in_process: bool, name: str | None = None) -> Sensor:
    """Return a camera (`video`) or microphone (`audio`), in a process of its own unless `in_process`."""
    kind = _KINDS[modality]
    return kind(source, name) if in_process else Isolated(kind, source, name)


def plug(device: Device, *, in_process: bool) -> Sensor:
    """Return the sensor of a device that a watcher found; it finds that device again when it is back."""
    return capture(device.modality, device.key, in_process=in_process, name=device.name)
