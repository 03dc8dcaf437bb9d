"""Judge what a microphone heard of labelled clips: its level, and its answers beside the audit's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.bundle.bundle import Bundle

from sensemble_apps.console.wording import percent
from sensemble_apps.hearing.track import Heard, Wave

_QUIET = -50.0  # dB of full scale, below which clips are too quiet
_SNR = 10.0  # dB by which clips must be above the noise of the room
_WANTED = 20.0  # dB above that noise, or above `_QUIET`, that the advice aims at
_CLIPPED, _SHARE = 0.99, 0.01  # a level, and the share of the samples that may reach it


@dataclass(frozen=True)
class Answers:
    """The answers of a bundle to the same clips, as they are and as they were heard.

    Attributes:
        clips: the number of clips.
        audited: how many were right as they are, as in an audit.
        heard: how many were right as they were heard.
        same: how many got the same answer twice.
    """

    clips: int
    audited: int
    heard: int
    same: int


def answers(
    bundle: Bundle, modality: str, clips: Sequence[Wave], heard: Heard, truth: Sequence[Sequence[str]]
) -> Answers:
    """Ask a bundle about clips, float32 [S], and about what was heard of them; `truth` has their labels."""

    def best(wave: Wave) -> str:
        embedding = bundle.encode(modality, np.pad(wave, (0, len(clips[0]) - len(wave)))[None])
        return bundle.manifest.labels[int(bundle.head.probabilities(embedding).argmax())]

    pairs = [(best(clip), best(copy)) for clip, copy in zip(clips, heard.clips, strict=True)]
    return Answers(
        len(pairs),
        sum(one in labels for (one, _), labels in zip(pairs, truth, strict=True)),
        sum(other in labels for (_, other), labels in zip(pairs, truth, strict=True)),
        sum(one == other for one, other in pairs),
    )


def lines(
    clips: Sequence[Wave], heard: Heard | None, said: Answers | None
) -> Iterator[tuple[str, bool, str]]:
    """Yield findings: a name, whether all is well, and a line that says what was found and what to do.

    Args:
        clips: as they were played.
        heard: None if the track was not found in what the microphone heard.
        said: None likewise.
    """
    if heard is None or said is None:
        yield (
            "hearing",
            False,
            "the microphone did not hear the loudspeaker: is it the right one (--microphone), is one muted?",
        )
        return
    everything = np.concatenate(heard.clips)
    level, played, noise = (decibels(wave) for wave in (everything, np.concatenate(clips), heard.noise))
    yield from _level(level, played, noise, float(np.mean(np.abs(everything) >= _CLIPPED)))
    if heard.lost:
        yield (
            "buffers",
            False,
            f"{1e3 * abs(heard.lost):.0f} ms of sound were lost; is this machine too busy?",
        )
    low, high = wilson(said.heard, said.clips)
    worse = high < said.audited / said.clips
    text = (
        f"as heard, {said.heard} of {said.clips} are right ({percent(low, 0)} to {percent(high, 0)} %), "
        f"in an audit of the same clips {said.audited}; the same answer to {said.same}"
    )
    if worse:
        text += "; the room, the microphone or its system's noise suppression changes what the bundle hears"
    yield "answers", not worse, text


def _level(level: float, played: float, noise: float, clipped: float) -> Iterator[tuple[str, bool, str]]:
    least = max(_QUIET, noise + _SNR)
    text = f"{level:.0f} dB of full scale ({played:.0f} as played), the room's noise {noise:.0f} dB"
    if clipped > _SHARE:
        yield "level", False, f"{text}; too loud: {percent(clipped, 0)} % of it is clipped, turn it down"
    elif level < least:
        more = least - _SNR + _WANTED - level
        yield (
            "level",
            False,
            f"{text}; too quiet: turn the loudspeaker up, or the microphone, by {more:.0f} dB",
        )
    else:
        yield "level", True, text


def decibels(wave: Wave) -> float:
    """Return the level of sound in dB of full scale; -120 for silence."""
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    return float(10 * np.log10(max(power, 1e-12)))
