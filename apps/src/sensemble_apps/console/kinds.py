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
"""Draws the newest samples, one or more, for JSON, from the samples and the spec's rate."""

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


def pcm(samples: "Sequence[Sample]") -> bytes:
    """Return sound as 16-bit samples, little-endian."""
    import numpy as np

    wave = np.concatenate([np.asarray(sample.data, np.float32) for sample in samples])
    data: bytes = (np.nan_to_num(wave).clip(-1, 1) * 32767).astype("<i2").tobytes()
    return data


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
class Staged:
    """A condition that a page offers as a button, with a word and a symbol as `Display.icon`."""

    condition: str
    severity: int
    word: str
    icon: str


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
        staged: the conditions that a page offers as buttons; it lists all.
        none: its opinion while its windows are like nothing that was learned, after its name: `sees ...`.
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
    staged: tuple[Staged, ...] = ()
    none: str = "shows nothing it knows"


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
_VOICES = "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6M3 20a5 5 0 0 1 10 0M16 11a3 3 0 1 0 0-6M16 15a5 5 0 0 1 5 5"
_ECHO = "M5 12h.01M9 8a6 6 0 0 1 0 8M13 5a10 10 0 0 1 0 14M17 3a14 14 0 0 1 0 18"
_SUN = "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v3m0 14v3M2 12h3m14 0h3M5 5l2 2m10 10 2 2M5 19l2-2"
_SPECKS = "M5 6h.01M11 4h.01M16 8h.01M20 5h.01M7 12h.01M13 12h.01M19 13h.01M4 18h.01M10 17h.01M15 19h.01"
_NOISE = "M2 12l2-4 2 8 2-11 2 14 2-12 2 10 2-8 2 6 2-5"
_LIE = Staged("swapped", 5, "lie", "M4 8h14l-4-4M20 16H6l4 4")

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
        staged=(
            Staged("noise", 4, "noise", _NOISE),
            Staged("babble", 4, "voices", _VOICES),
            Staged("quiet", 4, "far", "M4 10v4h3l4 4V6L7 10z"),
            Staged("clipping", 4, "shout", "M4 10v4h3l4 4V6L7 10zM15 9l5-3M15 12h6M15 15l5 3"),
            Staged("reverb", 5, "echo", _ECHO),
            _LIE,
        ),
        none="hears nothing it knows",
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
        staged=(
            Staged("occlusion", 5, "cover", "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16M4 11h16M5 14h14M7 17h10"),
            Staged("dark", 4, "dark", "M20 14A8 8 0 1 1 10 4a6.5 6.5 0 0 0 10 10z"),
            Staged("bright", 4, "glare", _SUN),
            Staged("blur", 4, "blur", "M12 3c4 5 6 8 6 11a6 6 0 0 1-12 0c0-3 2-6 6-11z"),
            Staged("noise", 4, "noise", _SPECKS),
            _LIE,
        ),
        none="sees nothing it knows",
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
        staged=(
            Staged("dropped", 4, "missing", "M4 7h6M14 7h6M4 12h3M12 12h8M4 17h9M17 17h3"),
            Staged("misspelt", 4, "typos", "M4 17l4-11 4 11M5.5 13h5M15 8l5 9M20 8l-5 9"),
            _LIE,
        ),
        none="say nothing it knows",
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
        staged=(
            Staged("noise", 4, "noise", _NOISE),
            Staged("drift", 4, "drift", "M3 18c5 0 5-3 9-6s5-6 9-6M3 21h18"),
            Staged("dead", 5, "dead", "M3 12h5l2-6 2 6h9"),
            Staged("rotated", 4, "turn", "M20 12a8 8 0 1 1-3-6M17 2v4h-4"),
            Staged("gaps", 5, "gaps", "M2 12h5M10 12h4M17 12h5"),
            _LIE,
        ),
        none="feels nothing it knows",
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
    *place, what = as_words(modality if device else ".".join([*rest, first])).split()
    thing = QUANTITIES.get(what, what)
    kind = DISPLAYS.get(KNOWN.get(what, "series" if what in QUANTITIES else ""), _OTHER)
    sensor = " ".join([*place, thing])
    lost = f"{as_words(device)}'s {thing}" if device else sensor
    letter = "" if place or what not in KNOWN else kind.letter
    return replace(kind, sensor=sensor, loss=kind.loss.format(lost), letter=letter)


def loss(lost: str, modalities: Container[str]) -> str:
    """Return the loss of a modality or of a device as a clause: `the camera dies`, `the watch is off`."""
    return words_of(lost).loss if lost in modalities else f"the {as_words(lost)} is off"


def as_words(name: str) -> str:
    """Return a name that somebody chose as words."""
    return re.sub("[._-]+", " ", name)
