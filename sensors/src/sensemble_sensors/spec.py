"""The input of one encoder, as training, bundles and sensors describe it; names and kinds of modalities."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sensemble_sensors.errors import SpecError

DType = Literal["uint8", "float32", "int64"]

# The kind of a modality that states none, by the first part of its name: `video.rear` is of frames.
KNOWN = {"audio": "waveform", "text": "text", "video": "frames"}

# What a name's last part may say that a sensor measures, in words: `watch.acc` is a watch's accelerometer.
QUANTITIES = {
    "acc": "accelerometer",
    "audio": "microphone",
    "baro": "barometer",
    "ecg": "ECG",
    "eda": "skin conductance sensor",
    "emg": "muscle sensor",
    "gyr": "gyroscope",
    "gyro": "gyroscope",
    "hr": "heart rate sensor",
    "imu": "imu",
    "mag": "magnetometer",
    "ppg": "pulse sensor",
    "temp": "thermometer",
    "text": "captions",
    "video": "camera",
}

HIGHEST_RATE = 1_000_000  # samples or frames a second of any stream; far above any sensor's or encoder's

MAX_CHANNELS = 1024  # of a series

EXAMPLE_FIELDS = ("id", "split", "labels", "background", "group", "start", "end")
STREAM_FIELDS = ("id", "split", "group", "spans")
RESERVED = tuple(dict.fromkeys(EXAMPLE_FIELDS + STREAM_FIELDS))  # names that no modality has

# A name is part of file names (which may not tell capitals), MQTT topics, JSON paths and style classes; `+`
# joins names to sets.
_NAME = re.compile(r"(?=.{1,64}$)[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*")


def check_name(modality: str) -> None:
    """Raise SpecError if a modality cannot have this name."""
    if not _NAME.fullmatch(modality):
        raise SpecError(
            f"{modality!r:.80}: not a name of a modality; use small letters, digits, '_' and '-', in parts "
            "joined by '.', 64 characters at most"
        )
    if modality in RESERVED:
        raise SpecError(f"{modality}: a field of every example; give the modality another name")


def kind_name(modality: str, kind: str = "") -> str:
    """Return `kind` or, if empty, the kind that the modality's name implies; SpecError if it implies none."""
    check_name(modality)
    name = kind or KNOWN.get(modality.partition(".")[0])
    if name is None:
        raise SpecError(
            f"{modality}: its kind is not known; a dataset names it in modalities.json, an `InputSpec` as "
            f"`kind` (without, a name begins with {', '.join(KNOWN)})"
        )
    return name


def device_name(modality: str, device: str | None = None) -> str:
    """Return `device` or, if None, the one that the modality's name begins with: `watch` of `watch.acc`.

    Empty where none is known: `video.rear` and `imu.wrist` begin with what is measured.
    """
    *place, what = modality.split(".")
    if device is None and place and what in QUANTITIES and place[0] not in QUANTITIES:
        device = ".".join(place)
    if device:
        check_name(device)
    return device or ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of a series: its name, its unit, and the least and the greatest value that it can have."""

    name: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf


def vectors(channels: Sequence[Channel]) -> list[tuple[int, int, int]]:
    """Return the places of x, y and z of each vector, by names such as `ax`, `gyro.y`, `mag_z`."""
    axes: dict[tuple[str, str], dict[str, int]] = {}
    for place, channel in enumerate(channels):
        if match := re.fullmatch(r"(.*?)([xyz])", channel.name, re.IGNORECASE):
            axes.setdefault((match[1].lower(), channel.unit), {})[match[2].lower()] = place
    return [(each["x"], each["y"], each["z"]) for each in axes.values() if len(each) == 3]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The tensor that one modality's encoder takes, and how often a session makes one.

    Attributes:
        modality: a free name (`audio`, `video.rear`, `imu.wrist`).
        dtype: `float32` for sound in [-1, 1], series and frames of one channel, `uint8` for frames in RGB,
            `int64` for token ids.
        shape: waveform [1, S]; frames [1, T, H, W, 3], or 1 with a channel (an image is one frame); text [1,
            L]; series [1, T, C].
        rate: samples a second (Hz); of frames, those a second between the T frames; 0 for text.
        window: seconds that an encoder sees; 0 for text: a caption is its own window.
        hop: seconds between the starts of two encoded windows; 0 for text: on arrival.
        ttl: seconds that an embedding stays in the live set, at least the hop.
        kind: `waveform`, `frames`, `text`, `series` or an installed one; by default, as the name implies.
        device: the body, such as a watch, whose modalities come and go together; empty for none; by default,
            as the name implies (`device_name`).

    Raises SpecError if the name is none, or no kind is given or implied.
    """

    modality: str
    dtype: DType
    shape: tuple[int, ...]
    rate: float
    window: float
    hop: float
    ttl: float
    kind: str = ""
    channels: tuple[Channel, ...] = ()
    device: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", kind_name(self.modality, self.kind))
        object.__setattr__(self, "device", device_name(self.modality, self.device))


@dataclass(frozen=True, slots=True)
class Modality:
    """A named stream of a dataset; `modalities.json` declares those whose name alone does not say all.

    Attributes:
        kind: as in `InputSpec`.
        rate: of its samples (Hz); 0 where the files say it.
        channels: of a series, or the one of a thermal or depth camera's pictures.
        device: as in `InputSpec`.
    """

    name: str
    kind: str = ""
    rate: float = 0.0
    channels: tuple[Channel, ...] = ()
    device: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", kind_name(self.name, self.kind))
        object.__setattr__(self, "device", device_name(self.name, self.device))

    @property
    def implied(self) -> bool:
        """True if the name alone says all."""
        known = KNOWN.get(self.name.partition(".")[0]) == self.kind
        of_its_name = self.device == device_name(self.name)
        return known and of_its_name and not self.rate and not self.channels


def declared(specs: Iterable[InputSpec]) -> dict[str, Modality]:
    """Return the modalities of `specs` of which the name alone does not say all, by name."""

    def rate(spec: InputSpec) -> float:
        return spec.rate if spec.channels and len(spec.shape) == 3 else 0.0  # pictures carry times

    every = (Modality(spec.modality, spec.kind, rate(spec), spec.channels, spec.device) for spec in specs)
    return {modality.name: modality for modality in every if not modality.implied}


def devices(specs: Mapping[str, InputSpec]) -> dict[str, tuple[str, ...]]:
    """Return device -> its modalities, sorted, of the devices that are lost as a whole.

    Left out: a device with a single modality, with all of them, or with the name of a modality.
    """
    carried: dict[str, tuple[str, ...]] = {}
    for modality in sorted(specs):
        if device := specs[modality].device:
            carried[device] = (*carried.get(device, ()), modality)
    return {d: some for d, some in carried.items() if 1 < len(some) < len(specs) and d not in specs}


def together(specs: Mapping[str, InputSpec]) -> list[tuple[str, ...]]:
    """Return the modalities in groups that come and go: those of a device, and each of the others."""
    carried = list(devices(specs).values())
    return list(dict.fromkeys(next((some for some in carried if m in some), (m,)) for m in specs))
