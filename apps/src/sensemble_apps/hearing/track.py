"""The track that is played, and the clips of it in what a microphone heard.

It begins with silence, which shows the noise of the room, and has a chirp before the first clip and after the
last one. A matched filter finds the chirps in what was heard, also in an echoing room; the clips lie between.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]

SILENCE = 1.0  # seconds at the beginning
_GAP = 0.3  # seconds of silence after a chirp and after each clip
_CHIRP = 0.3  # seconds
_SWEEP = 300.0, 6000.0  # Hz, from and to; at most 0.4 of the rate
_LEVEL = 0.3  # of the chirp; 1 is full scale
_SHARP = 12.0  # how far a chirp must stand out: the peak by the median; noise alone reaches 8
_LOST = 0.02  # seconds by which the chirps may be further apart, or closer, than they were played


@dataclass(frozen=True)
class Track:
    """Sound to be played.

    Attributes:
        wave: float32 [n] in [-1, 1].
        rate: samples a second.
        chirps: the first samples of the two chirps.
        clips: the first sample of each clip.
        length: samples in a clip.
    """

    wave: Wave
    rate: int
    chirps: tuple[int, int]
    clips: tuple[int, ...]
    length: int

    @property
    def seconds(self) -> float:
        """The length of the track."""
        return len(self.wave) / self.rate


@dataclass(frozen=True)
class Heard:
    """The track in what a microphone heard.

    Attributes:
        noise: what it heard of the silence before the first chirp, float32 [n].
        clips: what it heard of each clip, float32 [length].
        lost: seconds of sound that it lost, or gave twice if negative; 0 for less than 20 ms.
    """

    noise: Wave
    clips: tuple[Wave, ...]
    lost: float


def track(clips: Sequence[Wave], rate: int) -> Track:
    """Return the track that plays clips of one length, float32 [length] each."""
    chirp, gap = _chirp(rate), np.zeros(round(_GAP * rate), np.float32)
    pieces = [np.zeros(round(SILENCE * rate), np.float32), chirp, gap]
    begins = []
    for clip in clips:
        begins.append(sum(map(len, pieces)))
        pieces += [clip, gap]
    chirps = len(pieces[0]), sum(map(len, pieces))
    return Track(np.concatenate([*pieces, chirp, gap]), rate, chirps, tuple(begins), len(clips[0]))


def find(played: Track, heard: Wave) -> Heard | None:
    """Find a track in what was heard, float32 [n] from before it was played; None if it is not there."""
    chirp = _chirp(played.rate)
    apart = played.chirps[1] - played.chirps[0]
    first = _place(heard[: max(0, len(heard) - apart)], chirp)
    if first is None:
        return None
    near = first + apart - played.rate // 2
    second = _place(heard[near : near + played.rate + len(chirp)], chirp)
    if second is None:
        return None
    stretch = (near + second - first) / apart
    begins = [first + round((clip - played.chirps[0]) * stretch) for clip in played.clips]
    lost = (apart - (near + second - first)) / played.rate
    return Heard(
        heard[max(0, first - round(SILENCE * played.rate / 2)) : first],
        tuple(heard[begin : begin + played.length] for begin in begins),
        lost if abs(lost) > _LOST else 0.0,
    )


def _chirp(rate: int) -> Wave:
    time = np.arange(round(_CHIRP * rate)) / rate
    low, high = _SWEEP[0], min(_SWEEP[1], 0.4 * rate)
    wave = np.sin(2 * np.pi * (low + (high - low) * time / (2 * _CHIRP)) * time)
    return (_LEVEL * wave * np.hanning(len(time))).astype(np.float32)


def _place(heard: Wave, chirp: Wave) -> int | None:
    """Return the sample at which the chirp begins in what was heard; None if it does not stand out."""
    if len(heard) < 2 * len(chirp):
        return None
    length = 1 << (len(heard) + len(chirp)).bit_length()
    spectrum = np.fft.rfft(heard, length) * np.conj(np.fft.rfft(chirp, length))
    likeness = np.abs(np.fft.irfft(spectrum, length)[: len(heard)])
    place = int(likeness.argmax())
    return place if likeness[place] > _SHARP * np.median(likeness) and likeness[place] > 0 else None
