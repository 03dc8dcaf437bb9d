"""The experiment: play clips of a dataset, hear them, and judge what was heard."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import read_dataset

from sensemble_apps.arguments import Doctor
from sensemble_apps.console.output import remark
from sensemble_apps.errors import InputError
from sensemble_apps.hearing.findings import answers, lines
from sensemble_apps.hearing.loudspeaker import play_and_hear
from sensemble_apps.hearing.track import find, track


def hear(arguments: Doctor, folder: Path, data: Path) -> Iterator[tuple[str, bool, str]]:
    """Play clips of the dataset `data` and yield what the bundle in `folder` makes of what is heard.

    Yields:
        The findings of `findings.lines`.

    Raises:
        InputError, BundleError, BadDataError, SensorUnavailableError, SensorLostError: something given cannot
            be used.
    """
    bundle, modality = Bundle.open(folder, trust=arguments.trust), Microphone.modality
    if modality not in bundle.specs:
        raise InputError(f"{folder}: a bundle without {modality}; it has {', '.join(bundle.specs)}")
    spec = bundle.specs[modality]
    examples = [e for e in read_dataset(data).split(arguments.split) if modality in e.modalities]
    # From all over the split, for the examples of a class may stand together.
    chosen = examples[:: max(1, len(examples) // max(1, arguments.examples))][: arguments.examples]
    if not chosen:
        raise InputError(
            f"{data}: no example with {modality} in split {arguments.split}; --split takes another"
        )
    clips = [np.asarray(kind_of(modality).window(e, spec), np.float32)[0] for e in chosen]
    played = track(clips, round(spec.rate))
    # In a process of its own, for PortAudio plays in this one.
    microphone = Isolated(Microphone, arguments.microphone)
    remark(f"playing {len(clips)} clips in {played.seconds:.0f} s; {microphone.name} listens")
    heard = find(played, play_and_hear(played.wave, played.rate, microphone, spec))
    said = None if heard is None else answers(bundle, modality, clips, heard, [e.labels for e in chosen])
    yield from lines(clips, heard, said)
