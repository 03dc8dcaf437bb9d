"""The sensors that a command was given."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sensemble_sensors.captions import Captions
from sensemble_sensors.replay import MediaReplay
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec

from sensemble_apps.arguments import Sources
from sensemble_apps.plugs import capture


@contextmanager
def sensors(given: Sources, specs: Mapping[str, InputSpec]) -> Iterator[list[Sensor]]:
    """Give the devices that were named, or the sensors of a media file, which plays while the block runs.

    Raises:
        BadDataError: the media file cannot be read, or has no track for `specs`.
    """
    if given.media is None:
        yield devices(given)
        return
    player = MediaReplay(given.media, specs)
    # Before it plays, for the first frame comes at once.
    sensors = [player.sensor(modality) for modality in player.modalities]
    with player:
        yield sensors


def devices(given: Sources) -> list[Sensor]:
    """Return a sensor for each of the devices that were named."""
    found: list[Sensor] = []
    if given.camera is not None:
        found.append(capture("video", given.camera, in_process=given.in_process))
    if given.microphone is not None:
        found.append(capture("audio", given.microphone, in_process=given.in_process))
    if given.captions is not None:
        found.append(Captions(given.captions))
    return found
