"""The settings of augmentation (paper, Sec. 5 and App. E)."""

from dataclasses import dataclass
from typing import Annotated

from sensemble_sensors.strict_json import Count, Share

from sensemble_train.field_checks import Amount, check


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Random changes of training batches; 0 turns one off. The paper's values are those of App. E.

    Attributes:
        mixup: share of the labelled examples that are mixed with another; 0.5 in the paper.
        time: frames of the log-mel that a hidden span is shorter than; 192 in the paper.
        bins: mel bins that a hidden span is shorter than; 48 in the paper.
        voice: largest stretch of the mel axis of sound, as of shorter and longer vocal tracts.
        pace: largest relative change of the speed of sound and series.
        shift: largest move of sound and series in time, as a share of half the window.
        tilt: standard deviation of the curve of a random microphone, in dB.
        noise: share of sounds with noise of a random colour, 10 to 40 dB below them.
        gate: share of waves whose fainter moments are silenced.
        warp: largest change of each number of the affine map that frames are seen through.
        brightness: largest relative change; 0.2 in the paper.
        contrast: largest relative change; 0.1 in the paper.
        saturation: largest relative change; 0 in the paper.
        hue: largest change, as a fraction of the colour circle; 0.025 in the paper.
        turn: largest rotation of the vectors of series, in degrees.
        gain: standard deviation of the logarithm of the gain of series.
        gaps: share of the windows of series in which a run of rows is lost: the row before it is repeated.
        grain: largest noise and bias of series, in deviations of each channel.
        drop: share of the words of captions that are left out.
        typos: share of the words of captions that are misspelt.
    """

    mixup: Share = 0.0
    time: Count = 0
    bins: Count = 0
    voice: Share = 0.0
    pace: Share = 0.0
    shift: Share = 0.0
    tilt: Amount = 0.0
    noise: Share = 0.0
    gate: Share = 0.0
    warp: Share = 0.0
    brightness: Share = 0.0
    contrast: Share = 0.0
    saturation: Share = 0.0
    hue: Annotated[float, (0, 0.5)] = 0.0
    turn: Annotated[float, (0, 180)] = 0.0
    gain: Share = 0.0
    gaps: Share = 0.0
    grain: Amount = 0.0
    drop: Share = 0.0
    typos: Share = 0.0

    def __post_init__(self) -> None:
        check(self, "augment.")

    @property
    def sound(self) -> bool:
        """Tell whether mel energies change, apart from hidden spans."""
        return any((self.voice, self.pace, self.shift, self.tilt, self.noise))

    @property
    def colours(self) -> bool:
        """Tell whether the light or the colours of frames change."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))


# Mild, because two cores make few steps. Front ends ignore brightness, but not the pixels that it saturates.
DERIVED = AugmentConfig(
    time=8,
    bins=8,
    voice=0.1,
    pace=0.15,
    shift=0.3,
    tilt=2.0,
    noise=1.0,
    gate=0.5,
    warp=0.1,
    brightness=0.5,
    turn=30.0,
    gain=0.1,
    gaps=0.3,
    grain=0.1,
    drop=0.1,
    typos=0.05,
)

PAPER = AugmentConfig(mixup=0.5, time=192, bins=48, brightness=0.2, contrast=0.1, saturation=0.0, hue=0.025)
