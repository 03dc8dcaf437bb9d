"""The words and the preview of each kind of modality; a new kind is added to the apps here."""

import math
import re
from base64 import b64encode
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sensemble_sensors.spec import KNOWN, QUANTITIES, device_name
from sensemble_sensors.thresholds import DEFAULT

if TYPE_CHECKING:  # NumPy, which `sensemble --help` does not wait for
    from sensemble_sensors.sensor import Sample
    from sensemble_sensors.spec import InputSpec


class Meter:
    """Measures the recorded samples of one modality.

    Attributes:
        count: the number of samples.
        seconds: of sound or a series, or from one picture to the next.
        peak: of the last block of sound; 1 is full scale.
    """

    def __init__(self) -> None:
        self.count = 0
        self.seconds = self.peak = 0.0
        self._last: float | None = None  # the time of the sample that the next one continues

    def add(self, sample: "Sample", rate: float) -> None:
        """Measure a sample; `rate`, the spec's, counts for sound, not for a camera."""
        self.count += 1
        if isinstance(sample.data, str):
            return
        if sample.data.ndim < 3:
            self.seconds += len(sample.data) / rate
            self.peak = float(max(sample.data.max(initial=0.0), -sample.data.min(initial=0.0)))
        elif self._last is not None and not sample.cut:
            self.seconds += sample.time - self._last
        self._last = sample.time


def _peak(meter: Meter) -> str:
    return f"{20 * math.log10(meter.peak):.0f} dB" if meter.peak else "silent"


Preview = Callable[["Sequence[Sample]", float], dict[str, Any]]
"""Draws the newest samples, one or more, for JSON; given the spec's rate, too."""

_POINTS = 96  # of a waveform's outline
_WAVE = 1.0  # seconds of sound that are drawn
_PLOT, _LINES = 4.0, 9  # seconds of a series, and channels, that are drawn
_ENDS = 1, 99  # percentiles of a grey picture that become black and white
_SIDE = 192  # pixels a side of a picture, at most
_LONGEST = 200  # characters of a caption


def wave_preview(samples: "Sequence[Sample]", rate: float) -> dict[str, Any]:
    """Return the outline of the last second, pairs of least and greatest in [-100, 100], and the level.

    The level is the RMS of the last tenth of a second in dB of full scale; null if silent.
    """
    import numpy as np

    wave = np.concatenate([np.asarray(sample.data, np.float32) for sample in samples])[-round(_WAVE * rate) :]
    full = np.pad(wave, (max(0, round(_WAVE * rate) - len(wave)), 0))
    parts = np.array_split(np.nan_to_num(full).clip(-1, 1) * 100, _POINTS)
    last = full[-round(0.1 * rate) :]
    power = float(np.mean(np.square(last, dtype=np.float64))) if len(last) else 0.0
    level = round(10 * math.log10(power), 1) if 0 < power < math.inf else None
    return {"wave": [[int(part.min()), int(part.max())] for part in parts if len(part)], "level": level}


def picture_preview(samples: "Sequence[Sample]", rate: float) -> dict[str, Any]:  # noqa: ARG001 - a still
    """Return the newest picture as a data URL, a JPEG of at most `_SIDE` pixels a side.

    A picture of one channel is stretched between its percentiles `_ENDS`.
    """
    import cv2
    import numpy as np

    picture = np.asarray(samples[-1].data)
    if picture.dtype != np.uint8:
        low, high = np.percentile(picture, _ENDS)
        grey = ((picture - low) / max(high - low, 1) * 255).clip(0, 255).astype(np.uint8)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    scale = _SIDE / max(picture.shape[:2])
    if scale < 1:
        height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 90))
    return {"picture": "data:image/jpeg;base64," + b64encode(data.tobytes()).decode()}


def plot_preview(samples: "Sequence[Sample]", rate: float) -> dict[str, Any]:
    """Return a line for each of the first channels, over the last seconds: points in [-100, 100]."""
    import numpy as np

    rows = np.concatenate([np.asarray(sample.data, np.float32) for sample in samples])
    rows = np.nan_to_num(rows[-max(2, round(_PLOT * rate)) :, :_LINES])
    middle, half = (rows.max(0) + rows.min(0)) / 2, np.ptp(rows, axis=0) / 2
    scaled = 100 * (rows - middle) / np.where(half > 0, half, 1)
    places = np.linspace(0, len(rows) - 1, min(_POINTS, len(rows))).astype(int)
    now = [round(value, 3) for value in rows[-1].tolist()]
    return {"plot": scaled[places].T.round().astype(int).tolist(), "now": now}


def caption_preview(samples: "Sequence[Sample]", rate: float) -> dict[str, Any]:  # noqa: ARG001 - it has none
    """Return the newest caption, cut to a line."""
    text = " ".join(str(samples[-1].data).split())
    return {"caption": text if len(text) <= _LONGEST else text[:_LONGEST] + "\N{HORIZONTAL ELLIPSIS}"}


@dataclass(frozen=True, slots=True)
class Display:
    """The words, the meter and the preview of a kind of modality.

    Attributes:
        sensor: its sensor, such as `microphone`.
        loss: the loss of that sensor, as a clause: `the {} dies`.
        letter: its abbreviation in the names of sets, as in the paper's tables.
        weight: how much accuracy usually depends on it.
        reading: writes the recorded amount, for a line of status.
        preview: draws the newest samples.
        level: writes the level of a window (`Prediction.levels`).
        icon: the path of its symbol, in lines on a square of 24 units.
        demonstrated: the conditions under which the demo audits it, such as `noise:3`.
        faults: findings of its health check, and the seconds until each.
    """

    sensor: str
    loss: str
    letter: str
    weight: int
    reading: Callable[[Meter], str]
    preview: Preview
    level: Callable[[float], str]
    icon: str = "M3 12h4l3-8 4 16 3-8h4"
    demonstrated: tuple[str, ...] = ()
    faults: tuple[tuple[str, float], ...] = ()


_BARS = "▁▂▃▄▅▆▇█"


def _loudness(level: float) -> str:
    """Write an RMS in dB of full scale: `▅ -20 dB`."""
    return f"{_bar(1 + level / 60)} {level:.0f} dB"


def _brightness(level: float) -> str:
    """Write a brightness from 0 to 1: `▄ 45 %`."""
    return f"{_bar(level)} {100 * level:.0f} %"


def _bar(share: float) -> str:
    return _BARS[max(0, min(len(_BARS) - 1, int(share * len(_BARS))))]


_MICROPHONE = "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11a7 7 0 0 0 14 0M12 18v3M8 21h8"
_CAMERA = "M3 7h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3zM16 11l5-3v8l-5-3"
_BALLOON = "M4 5h16v11h-9l-4 4v-4H4zM8 9h8M8 12h5"

DISPLAYS = {
    "waveform": Display(
        "microphone",
        "the {} dies",
        "A",
        2,
        _peak,
        wave_preview,
        _loudness,
        _MICROPHONE,
        demonstrated=("noise:3",),
        faults=(("Microphone gives nothing", DEFAULT.stalled), ("Silence", DEFAULT.silent)),
    ),
    "frames": Display(
        "camera",
        "the {} dies",
        "V",
        3,
        lambda m: f"{m.count} pictures",
        picture_preview,
        _brightness,
        _CAMERA,
        demonstrated=("occlusion:5", "swapped:5"),
        faults=(
            ("Camera gives nothing", DEFAULT.stalled),
            ("Frozen picture", DEFAULT.frozen),
            ("Black picture", DEFAULT.black),
        ),
    ),
    "text": Display(
        "captions",
        "the {} stop",
        "T",
        1,
        lambda m: str(m.count),
        caption_preview,
        str,
        _BALLOON,
        demonstrated=("dropped:5",),
    ),
    "series": Display(
        "sensor",
        "the {} dies",
        "I",
        2,
        lambda m: f"{m.seconds:.1f} s",
        plot_preview,
        str,
        demonstrated=("dead:5", "gaps", "swapped:5"),
        faults=(("Sensor gives nothing", DEFAULT.stalled), ("Stuck channel", DEFAULT.frozen)),
    ),
}
"""The kinds by name, in the order of their letters in the paper's tables, AVT; series are I."""


_OTHER = Display("sensor", "the {} is lost", "", 1, lambda m: f"{m.count} samples", lambda *_: {}, str)


def display_of(which: "str | InputSpec") -> Display:
    """Return the display of a kind, by its name or that of a spec; `_OTHER` where no package has one."""
    from sensemble_sensors.kinds.registry import installed

    name = which if isinstance(which, str) else which.kind
    display: Display | None = DISPLAYS.get(name) or installed(name, "apps")
    return display or _OTHER


def words_of(modality: str) -> Display:
    """Return the display of a modality of which only the name is known.

    Its words are of that very sensor: `rear camera` for `video.rear`, `wrist imu` for `imu.wrist`, `watch
    accelerometer` for `watch.acc`, which is lost as "the watch's accelerometer".
    """
    device = device_name(modality)
    first, *rest = modality.split(".")
    *place, what = readable(modality if device else ".".join([*rest, first])).split()
    thing = QUANTITIES.get(what, what)
    kind = DISPLAYS.get(KNOWN.get(what, "series" if what in QUANTITIES else ""), _OTHER)
    sensor = " ".join([*place, thing])
    lost = f"{readable(device)}'s {thing}" if device else sensor
    letter = "" if place or what not in KNOWN else kind.letter
    return replace(kind, sensor=sensor, loss=kind.loss.format(lost), letter=letter)


def loss(lost: str, modalities: Container[str]) -> str:
    """Return the loss of a modality or of a device as a clause: `the camera dies`, `the watch is off`."""
    return words_of(lost).loss if lost in modalities else f"the {readable(lost)} is off"


def readable(name: str) -> str:
    """Return a name that somebody chose as words."""
    return re.sub("[._-]+", " ", name)
