"""People's spoken digits at five levels, through a session with a bundle of `digits`.

    uv run python apps/benchmarks/live_voices.py BUNDLE RECORDINGS [--takes 5]

RECORDINGS is FSDD's folder (`DIGIT_NAME_N.wav`, 8 kHz, trimmed; CC BY-SA 4.0). Each word is spoken at a
random moment of two seconds, into a microphone with faint noise, at peaks of 0 to -30 dB of full
scale; then again in a room with noise of three colours, 5 to 25 dB below the speech. The microphone gives its
next piece as soon as the session has answered to the last. The answer to a word is that to the window around
its middle; windows that hold half of a word or more are also counted, because a user sees all of them.
"""

import argparse
import wave
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.signal import resample_poly
from sensemble_runtime import Bundle, Prediction, Session
from sensemble_runtime.auditing.intervals import proportion
from sensemble_sensors import Sample, SensorEndedError
from sensemble_sensors.spec import InputSpec
from sensemble_train.digits.voices import WORDS

LEVELS = 0, -6, -12, -20, -30
SECONDS = 2.0  # for each word
FLOOR = -75.0  # dB of full scale, the microphone's own noise
Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Word:
    """A word of a person in a stream, from its first sample to its last."""

    digit: int
    person: int
    start: int
    stop: int


def read(path: Path, rate: float) -> Wave:
    """Read 16-bit mono sound with a peak of 1."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        samples = resample_poly(samples, round(rate), file.getframerate())
    return np.asarray(samples / np.abs(samples).max())


def stream(
    folder: Path, takes: int, level: float, *, noisy: bool, rate: float
) -> tuple[NDArray[np.float32], list[Word]]:
    """Return people's words in two seconds each, the same order and places for each level."""
    draw = np.random.default_rng(0)
    people = sorted({path.stem.split("_")[1] for path in folder.glob("?_*.wav")})
    spoken = [(d, p, t) for p in range(len(people)) for d in range(10) for t in range(takes)]
    count, pieces, words = round(SECONDS * rate), list[Wave](), list[Word]()
    for row in draw.permutation(len(spoken)):
        digit, person, take = spoken[row]
        speech = read(folder / f"{digit}_{people[person]}_{take}.wav", rate)[:count]
        start = int(draw.integers(0, count - len(speech) + 1))
        piece = np.pad(speech, (start, count - start - len(speech)))
        hertz = np.maximum(np.fft.rfftfreq(count, 1 / rate), 20)
        noise = np.fft.irfft(np.fft.rfft(draw.normal(size=count)) * hertz ** (-draw.choice([0, 1, 2]) / 2))
        below = 10 ** (-draw.uniform(5, 25) / 20) * np.sqrt((speech**2).mean())
        piece += noisy * below * noise / noise.std()
        words.append(Word(digit, person, (at := len(pieces) * count + start), at + len(speech)))
        pieces.append(10 ** (level / 20) * piece)
    heard = np.concatenate(pieces)
    heard += 10 ** (FLOOR / 20) * draw.normal(size=len(heard))
    return (np.round(32767 * heard.clip(-1, 1)) / 32768).astype(np.float32), words


class Lockstep:
    """A microphone that gives the next hop of a stream when `go` is set."""

    modality, name, played = "audio", "microphone", True

    def __init__(self, sound: NDArray[np.float32]) -> None:
        self.sound, self.given, self.go = sound, 0, Event()
        self.go.set()

    def open(self, spec: InputSpec) -> None:
        self.hop, self.size = round(spec.hop * spec.rate), spec.shape[1]

    def read(self, timeout: float) -> Sample | None:
        if not self.go.wait(timeout):
            return None
        piece = self.sound[self.given : self.given + self.hop]
        if len(piece) < self.hop:
            raise SensorEndedError("the stream ended")
        self.given += len(piece)
        if self.given >= self.size:  # a window is complete
            self.go.clear()
        return Sample("audio", piece, monotonic())

    def close(self) -> None: ...


def answers(bundle: Bundle, sound: NDArray[np.float32]) -> Iterator[tuple[int, Prediction]]:
    """Yield the place behind each window, and the session's answer to it."""
    microphone = Lockstep(sound)
    with Session(bundle) as session:
        session.attach(microphone)
        for prediction in session:
            yield microphone.given, prediction
            microphone.go.set()


def counted(bundle: Bundle, sound: NDArray[np.float32], words: list[Word]) -> NDArray[np.float64]:
    """Return of each answer: person, 1 for the window around a word's middle, right, confidence, sure."""
    size, labels = bundle.specs["audio"].shape[1], [bundle.manifest.labels.index(word) for word in WORDS]
    own, rows = dict[Word, tuple[float, int]](), list[list[float]]()
    for end, said in answers(bundle, sound):
        for word in words:
            held = min(word.stop, end) - max(word.start, end - size)
            if 2 * held < word.stop - word.start:
                continue
            right = float(said.probabilities.argmax() == labels[word.digit])
            apart = abs(word.start + word.stop - 2 * end + size)
            own[word] = min(own.get(word, (apart, len(rows))), (apart, len(rows)))
            rows.append([word.person, 0, right, said.confidence, said.sure])
    for _, row in own.values():
        rows[row][1] = 1
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--takes", type=int, default=5, help="of each digit and person")
    arguments = parser.parse_args()
    found = defaultdict[str, list[NDArray[np.float64]]](list)
    bundle = Bundle.open(arguments.bundle)
    rate = bundle.specs["audio"].rate
    for noisy in (False, True):
        for level in LEVELS:
            sound, words = stream(arguments.recordings, arguments.takes, level, noisy=noisy, rate=rate)
            rows = counted(bundle, sound, words)
            room = "noise" if noisy else "quiet"
            for name in (f"{level} dB, {room}", room, "all"):
                found[name].append(rows)
    for title, middle in (("the window around a word's middle", True), ("all windows of a word", False)):
        table = Table("", "n", "right", "95 %", "says", "sure", "right if sure", "95 %", title=title)
        for name, each in found.items():
            table.add_row(name, *shown(np.concatenate(each), middle=middle))
        Console(width=120).print(table)
    every = np.concatenate(found["all"])
    people = (f"{100 * every[(every[:, 0] == p) & (every[:, 1] == 1), 2].mean():.1f}" for p in range(6))
    print("right by person, in %:", *people)


def shown(rows: NDArray[np.float64], *, middle: bool) -> list[str]:
    """Return the cells of a row."""
    person, _, right, confidence, sure = (rows[rows[:, 1] == 1] if middle else rows).T
    held = sure == 1
    return [
        str(len(right)),
        f"{100 * right.mean():.1f}",
        interval(right, person),
        f"{100 * confidence.mean():.1f}",
        f"{100 * sure.mean():.1f}",
        f"{100 * right[held].mean():.1f}",
        interval(right[held], person[held]),
    ]


def interval(right: NDArray[np.float64], person: NDArray[np.float64]) -> str:
    low, high = proportion(right == 1, person.astype(int))
    return f"{100 * low:.1f} to {100 * high:.1f}"


if __name__ == "__main__":
    main()
