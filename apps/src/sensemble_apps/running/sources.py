"""The sensors and datasets that a command line names, and the form of samples without a bundle."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sensemble_sensors.devices.camera import Camera
from sensemble_sensors.devices.captions import Captions
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_sensors.recording.reader import Recorded, is_recording
from sensemble_sensors.recording.replay import MediaReplay
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import KNOWN, DType, InputSpec

from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError
from sensemble_apps.running.device_factory import capture

# Only the rate of the sound and the size of the pictures matter.
_FORMS: dict[str, tuple[DType, tuple[int, ...], float, float, float]] = {
    "waveform": ("float32", (1, 16000), 16000, 1.0, 1.0),
    "text": ("int64", (1, 1), 0, 0, 0),
    "frames": ("uint8", (1, 30, 128, 128, 3), 30, 1.0, 1.0),
}
FORM = {modality: InputSpec(modality, *_FORMS[kind], ttl=1.0) for modality, kind in KNOWN.items()}
"""By modality: sound at 16 kHz, and frames of 128 x 128 pixels."""


@contextmanager
def sensors(
    specs: Mapping[str, InputSpec],
    cameras: Sequence[str],
    microphones: Sequence[str],
    captions: Sequence[str],
    media: Path | None,
    *,
    in_process: bool,
) -> Iterator[list[Sensor]]:
    """Give a sensor for each named device, or those of a media file, which plays while the block runs."""
    if media is None:
        yield [
            *(capture(Camera, source, in_process=in_process) for source in cameras),
            *(capture(Microphone, source, in_process=in_process) for source in microphones),
            *map(Captions, captions),
        ]
        return
    if media.is_dir():
        raise InputError(f"--media {media}: is a folder; name a file, or play a dataset by --replay")
    player = MediaReplay(media, specs)
    # Before it plays, because the first frame comes at once.
    sensors = [player.sensor(modality) for modality in player.modalities]
    with player:
        yield sensors


def examples_of(folder: Path, split: str | None) -> Sequence[Example]:
    """Return the examples of a split of a dataset; None for all.

    Raises:
        InputError: there are none.
    """
    dataset = read_dataset(folder)
    examples = dataset.examples if split is None else dataset.split(split)
    if not examples:
        raise InputError(f"{folder}: no example in split {split}; --split takes {words(dataset.splits)}")
    return examples


def playable(
    folder: Path, split: str | None, specs: Mapping[str, InputSpec], most: int | None = None
) -> Sequence[Example] | Recorded:
    """Return a recording to play, or examples of another dataset; by default of its split eval."""
    recorded = is_recording(folder)
    examples = examples_of(folder, split or (None if recorded else "eval"))[:most]
    return Recorded(folder, examples, specs) if recorded else examples
