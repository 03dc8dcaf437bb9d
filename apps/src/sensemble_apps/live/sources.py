"""The sensors that a command line names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.recording.replay import MediaReplay
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec

from sensemble_apps.arguments import Sources
from sensemble_apps.live.device_factory import capture


@contextmanager
def sensors(given: Sources, specs: Mapping[str, InputSpec]) -> Iterator[list[Sensor]]:
    """Give the named devices, or the sensors of a media file, which plays while the block runs.

    Raises:
        BadDataError: the media file cannot be read, or has no track for `specs`.
    """
    if given.media is None:
        yield devices(given)
        return
    player = MediaReplay(given.media, specs)
    # Before it plays, because the first frame comes at once.
    sensors = [player.sensor(modality) for modality in player.modalities]
    with player:
        yield sensors


def devices(given: Sources) -> list[Sensor]:
    """Return a sensor for each named device."""
    return [
        *(capture(Camera, source, in_process=given.in_process) for source in given.camera),
        *(capture(Microphone, source, in_process=given.in_process) for source in given.microphone),
        *map(Captions, given.captions),
    ]
