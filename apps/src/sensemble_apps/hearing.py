"""Play clips on the loudspeaker, hear them on a microphone, and compare a bundle's answers to both."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from sensemble_runtime.auditing.intervals import wilson
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_sensors.devices.microphone import Microphone
from sensemble_sensors.devices.portaudio import portaudio
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.isolation.isolated import Isolated
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.sensor import Sensor
from sensemble_sensors.spec import InputSpec

from sensemble_apps.console.output import remark
from sensemble_apps.console.wording import percent
from sensemble_apps.errors import InputError

Wave = NDArray[np.float32]

_SILENCE, _CHIRP, _GAP = 1.0, 0.3, 0.3  # seconds: at first, of the chirp, and after it and each clip
_SWEEP = 300.0, 6000.0  # Hz, from and to; at most 0.4 of the rate
_SHARP = 12.0  # the peak of a chirp that is there, by the median; noise alone reaches 8
_FIRST, _AFTER, _READ = 10.0, 1.0, 0.2  # seconds: for a first sample, heard after the end, of one read
_QUIET = -50.0  # dB of full scale, below which clips are too quiet
_SNR, _WANTED = 10.0, 20.0  # dB that clips must be above the noise of the room, and should be


def hear(
    folder: Path, data: Path, split: str, count: int, source: str, trust: Path | None
) -> Iterator[tuple[str, bool, str]]:
    """Play `count` clips of a dataset, and yield findings: a name, whether all is well, and a line."""
    bundle, modality = Bundle.open(folder, trust=trust), Microphone().modality
    if modality not in bundle.specs:
        raise InputError(f"{folder}: a bundle without {modality}; it has {', '.join(bundle.specs)}")
    spec = bundle.specs[modality]
    examples = [e for e in read_dataset(data).split(split) if modality in e.modalities]
    # From all over the split: the examples of a class may stand together.
    chosen = examples[:: max(1, len(examples) // max(1, count))][:count]
    if not chosen:
        raise InputError(f"{data}: no example with {modality} in split {split}; --split takes another")
    clips = [np.asarray(kind_of(spec).window(e, spec), np.float32)[0] for e in chosen]
    rate, wave = round(spec.rate), track(clips, round(spec.rate))
    microphone = Isolated(Microphone, source)  # PortAudio plays in this process
    remark(f"playing {len(clips)} clips in {len(wave) / rate:.0f} s; {microphone.name} listens")
    found = find(_play_and_hear(wave, rate, microphone, spec), clips, rate)
    if found is None:
        yield (
            "hearing",
            False,
            "the microphone did not hear the loudspeaker: is it the right one (--microphone), is one muted?",
        )
        return
    noise, heard = found
    yield level_finding(clips, heard, noise)

    def best(wave: Wave) -> str:
        embedding = bundle.encode(modality, np.pad(wave, (0, len(clips[0]) - len(wave)))[None])
        return bundle.manifest.labels[int(bundle.head.probabilities(embedding).argmax())]

    answers = [(best(a), best(b), e.labels) for a, b, e in zip(clips, heard, chosen, strict=True)]
    yield answers_finding(answers)


def track(clips: Sequence[Wave], rate: int) -> Wave:
    """Return silence, a chirp by which `find` finds the clips, and the clips, float32 [n] of one length."""
    gap = np.zeros(round(_GAP * rate), np.float32)
    silence = np.zeros(round(_SILENCE * rate), np.float32)
    return np.concatenate([silence, _chirp(rate), gap, *(part for clip in clips for part in (clip, gap))])


def find(heard: Wave, clips: Sequence[Wave], rate: int) -> tuple[Wave, list[Wave]] | None:
    """Return the noise before the track of `clips` in what was heard, and the clips; None without a chirp.

    A matched filter finds the chirp, also in an echoing room.
    """
    chirp = _chirp(rate)
    length, gap = len(clips[0]), round(_GAP * rate)
    latest = len(heard) - len(chirp) - gap - len(clips) * (length + gap)  # a clip may sound like the chirp
    if latest <= 0:
        return None
    size = 1 << (len(heard) + len(chirp)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(chirp, size))
    likeness = np.abs(np.fft.irfft(spectrum, size)[:latest])
    place = int(likeness.argmax())
    if likeness[place] <= max(0.0, _SHARP * float(np.median(likeness))):
        return None
    noise = heard[max(0, place - round(_SILENCE * rate / 2)) : place]
    begins = (place + len(chirp) + gap + i * (length + gap) for i in range(len(clips)))
    return noise, [heard[begin : begin + length] for begin in begins]


def level_finding(clips: Sequence[Wave], heard: Sequence[Wave], noise: Wave) -> tuple[str, bool, str]:
    """Judge the level of what was heard: neither clipped nor lost in the noise of the room."""
    everything = np.concatenate(heard)
    level, played, room = map(_decibels, (everything, np.concatenate(clips), noise))
    text = f"{level:.0f} dB of full scale ({played:.0f} as played), the room's noise {room:.0f} dB"
    clipped, least = float(np.mean(np.abs(everything) >= 0.99)), max(_QUIET, room + _SNR)
    if clipped > 0.01:
        return "level", False, f"{text}; too loud: {percent(clipped, 0)} % of it is clipped, turn it down"
    if level < least:
        more = least - _SNR + _WANTED - level
        return "level", False, f"{text}; too quiet: turn the loudspeaker or microphone up by {more:.0f} dB"
    return "level", True, text


def answers_finding(answers: Sequence[tuple[str, str, Sequence[str]]]) -> tuple[str, bool, str]:
    """Judge the answers to each clip as it is and as it was heard, beside its labels."""
    n = len(answers)
    audited, right = (sum(answer[i] in answer[2] for answer in answers) for i in (0, 1))
    low, high = wilson(right, n)
    text = (
        f"as heard, {right} of {n} are right ({percent(low, 0)} to {percent(high, 0)} %), in an audit of the "
        f"same clips {audited}; the same answer to {sum(a == b for a, b, _ in answers)}"
    )
    if high < audited / n:
        text += "; the room, the microphone or its system's noise suppression changes what the bundle hears"
    return "answers", high >= audited / n, text


def _play_and_hear(wave: Wave, rate: int, microphone: Sensor, spec: InputSpec) -> Wave:
    library = portaudio()
    heard: list[Wave] = []

    def listen() -> None:
        sample = microphone.read(_READ)
        if sample is not None:
            heard.append(np.asarray(sample.data, np.float32))

    microphone.open(spec)
    try:
        latest = monotonic() + _FIRST
        while not heard:  # the track is played once the microphone runs
            listen()
            if monotonic() > latest:
                raise SensorUnavailableError(
                    f"{microphone.name}: gives no sound; choose another, --microphone"
                )
        try:
            library.play(wave, rate)
        except library.PortAudioError as error:
            raise SensorUnavailableError(
                f"the loudspeaker cannot play {rate} Hz ({error.args[0]}); choose another output"
            ) from error
        until = monotonic() + len(wave) / rate + _AFTER
        while monotonic() < until:
            listen()
    finally:
        library.stop()
        microphone.close()
    return np.concatenate(heard)


def _chirp(rate: int) -> Wave:
    time = np.arange(round(_CHIRP * rate)) / rate
    low, high = _SWEEP[0], min(_SWEEP[1], 0.4 * rate)
    wave = np.sin(2 * np.pi * (low + (high - low) * time / (2 * _CHIRP)) * time)
    return (0.3 * wave * np.hanning(len(time))).astype(np.float32)


def _decibels(wave: Wave) -> float:
    power = float(np.mean(np.square(wave, dtype=np.float64))) if len(wave) else 0.0
    return float(10 * np.log10(max(power, 1e-12)))
