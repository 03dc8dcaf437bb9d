"""The sensors and datasets that a command line names, and the form of samples without a bundle."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.registry import device_of
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example, read_dataset
from sensemble_sensors.media.modalities import read_modalities
from sensemble_sensors.recording.reader import Recorded, RecordingReplay, is_recording
from sensemble_sensors.recording.replay import Replay
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import KNOWN, InputSpec, Modality

from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError


def _usual(modality: Modality) -> InputSpec:
    kind, channels = kind_of(modality), modality.channels
    rate, count = modality.rate, max(1, round(modality.rate))
    if hasattr(kind, "usual"):
        shape, rate, window = kind.usual
        shape = (*shape[:-1], len(channels)) if channels else shape
    elif channels and rate:
        shape = (1, count, len(channels))
        window = count / rate
    else:
        raise InputError(
            f"{modality.name}: rate and channels are not known; declare both in OUT/modalities.json, or give "
            "--bundle"
        )
    dtype, ttl = kind.window_dtype(channels), max(1.0, window)
    kind_and_rest = modality.kind, channels, modality.device
    spec = InputSpec(modality.name, dtype, shape, rate, window, window, ttl, *kind_and_rest)
    if problem := next(kind.spec_problems(spec), ""):
        raise InputError(f"OUT/modalities.json: {modality.name}: {problem}")
    return spec


FORM = {modality: _usual(Modality(modality)) for modality in KNOWN}
"""By modality: sound at 16 kHz, and frames of 128 x 128 pixels."""


def sensor_on(spec: InputSpec, source: str, *, in_process: bool, name: str | None = None) -> Sensor:
    """Return the sensor of a modality on `source`, in its own process if it is native code.

    Raises SensorUnavailableError if no sensor of its kind is on such a source.
    """
    device, own = device_of(spec, source)
    apart = getattr(device, "native", False) and not in_process
    sensor: Sensor = Isolated(device, own, name, spec.modality) if apart else device(own, name, spec.modality)
    return sensor


def sensor_of(specs: Mapping[str, InputSpec], device: Device, *, in_process: bool) -> Sensor:
    """Return the sensor of a device that a watcher found; it reopens that device after an absence."""
    return sensor_on(specs[device.modality], device.key, in_process=in_process, name=device.name)


def named(specs: Mapping[str, InputSpec], sources: Sequence[tuple[str, str]]) -> list[tuple[InputSpec, str]]:
    """Return the spec of each modality that is named with a source; InputError for an unknown modality."""
    for modality, source in sources:
        if modality not in specs:
            raise InputError(f"{modality}={source}: there is no such modality; there are {', '.join(specs)}")
    return [(specs[m], source) for m, source in sources]


def forms(sources: Sequence[tuple[str, str]], folder: Path) -> dict[str, InputSpec]:
    """Return the form of samples without a bundle, as the `modalities.json` of `folder` or their kind says.

    Raises:
        BadDataError: the file cannot be used.
        InputError: nothing says the rate and the channels of a series.
        SpecError: neither the file nor a name says the kind.
    """
    known = read_modalities(folder)
    return FORM | {name: _usual(known.get(name) or Modality(name)) for name, _ in sources}


def examples_of(folder: Path, split: str | None) -> Sequence[Example]:
    """Return the examples of a split of a dataset, None for all; InputError if there are none."""
    dataset = read_dataset(folder)
    examples = dataset.examples if split is None else dataset.split(split)
    if not examples:
        raise InputError(f"{folder}: no example in split {split}; --split takes {words(dataset.splits)}")
    return examples


def playable(
    folder: Path, split: str | None, specs: Mapping[str, InputSpec], most: int | None = None
) -> Sequence[Example] | Recorded:
    """Return a recording to play, or examples of another dataset; by default of its split eval.

    Raises InputError if no example has a modality of `specs`.
    """
    recorded = is_recording(folder)
    examples = examples_of(folder, split or (None if recorded else "eval"))[:most]
    if not any(m in specs for example in examples for m in example.modalities):
        had = words(sorted({m for example in examples for m in example.modalities}))
        raise InputError(f"{folder}: has {had}, and the bundle takes {words(specs)}; play another dataset")
    return Recorded(folder, examples, specs) if recorded else examples


def player_of(
    played: Sequence[Example] | Recorded, specs: Mapping[str, InputSpec], *, repeated: bool = False
) -> Replay | RecordingReplay:
    """Return the player of a recording, or of examples, which may be `repeated` for ever."""
    if isinstance(played, Recorded):
        return RecordingReplay(played, specs)
    return Replay(played, specs, repeated=repeated)
