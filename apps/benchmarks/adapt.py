"""The camera's lessons for the microphone of one voice: unlabelled windows beside a digit's film.

    uv run python apps/benchmarks/adapt.py BUNDLE [--voices 12] [--windows 50 100 150] [--seed 0]

BUNDLE is one of `digits`. The voices are those of its evaluation side, which no training heard, at all of its
levels; with `flite` installed (Debian has it), four voices of another synthesizer join. Each says digits
beside films of eval's pictures. The bundle's own opinion of the picture teaches, as in a session
(`sensemble_runtime.adapting`); the result is tested on other utterances of the voice. Printed for each way of
adapting: the share that sound alone gets right, with an interval over voices (bootstrap).
"""

import argparse
import shutil
import subprocess
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.signal import resample_poly
from sensemble_runtime.adapting.adapter import CONFIDENT
from sensemble_runtime.adapting.correction import Learner, Lesson, added, fit
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_train.digits.drawing import digit_drawing
from sensemble_train.digits.filming import FPS, render_video
from sensemble_train.digits.personas import Persona, personas
from sensemble_train.digits.plan import DigitsConfig, plan, utterance
from sensemble_train.digits.rendering import place, render_audio
from sensemble_train.digits.speech import speak
from sensemble_train.digits.voices import WORDS, spelled

TESTED = 60  # windows of each voice
FLITE = ("awb", "rms", "slt", "kal16")
SHIPPED, MOVED, PLAIN, TAUGHT, SESSION, TRUE = WAYS = (
    "as shipped",
    "mean moved",
    "ridge from nothing",
    "taught by the camera",
    "in a session: if in use",
    "true labels",
)


@dataclass(frozen=True)
class Voice:
    """Clips of one voice: embeddings float32 [N, d] of sound and of pictures, and the labels [N]."""

    name: str
    sound: NDArray[np.float32]
    picture: NDArray[np.float32]
    truth: NDArray[np.intp]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--voices", type=int, default=12)
    parser.add_argument("--windows", type=int, nargs="+", default=[50, 100, 150])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    report(Bundle.open(arguments.bundle), arguments.voices, arguments.windows, arguments.seed)


def report(bundle: Bundle, voices: int, windows: Sequence[int], seed: int) -> None:
    rows: dict[str, list[dict[str, float]]] = {}
    for voice in heard(bundle, voices, max(windows) + TESTED, seed):
        kind = "flite" if voice.name in FLITE else "digits"
        for count in windows:
            found = ways(bundle, voice, count)
            rows.setdefault(f"{kind}, {count} windows", []).append(found)
        print(voice.name, {way: round(100 * share) for way, share in found.items()}, flush=True)
    columns = sorted(rows, key=lambda column: (column.split()[0], int(column.split()[1])))
    table = Table("sound alone, right", *columns)
    for way in (*WAYS, "camera", "in use"):
        table.add_row(way, *(interval([found[way] for found in rows[column]]) for column in columns))
    Console(width=180).print(table)


def ways(bundle: Bundle, voice: Voice, windows: int) -> dict[str, float]:
    """Return the share that sound alone gets right in each way of adapting, and how right the camera is."""
    head, x, y = bundle.head, voice.sound, voice.truth
    learned, tested = slice(0, windows), slice(-TESTED, None)
    calibration = bundle.manifest.calibration
    video = calibration.modalities["video"]
    camera = head.probabilities(voice.picture, video.temperature, video.power)
    learner = Learner(head, calibration.modalities["audio"])
    taught, labelled = (Learner(head).moments for _ in range(2))
    for embedding, opinion, digit in zip(x[learned], camera[learned], y[learned], strict=True):
        if opinion.max() >= CONFIDENT:
            lesson = Lesson(embedding, int(opinion.argmax()))
            learner.learn(lesson)
            taught = added(taught, lesson)
        labelled = added(labelled, Lesson(embedding, int(digit)))
    d, weight = x.shape[1], taught[-1, x.shape[1]]
    mean, scatter = (
        taught[-1, :d] / weight,
        taught[:d, :d] - np.outer(taught[-1, :d], taught[-1, :d]) / weight,
    )
    cross = taught[:d, d + 1 :] - np.outer(mean, taught[-1, d + 1 :])
    ridge = np.linalg.solve(scatter + np.trace(scatter) / d * np.eye(d), cross)
    test, centred = x[tested], head.weight - head.weight.mean(axis=0)
    shipped, correction = head.logits(test), learner.correction
    adapted = shipped + correction(test) if correction else shipped
    by_labels = fit(labelled, head)
    logits = {
        SHIPPED: shipped,
        MOVED: (test - x[learned].mean(axis=0)) @ centred.T,
        PLAIN: (test - mean) @ ridge,
        TAUGHT: adapted,
        SESSION: adapted if learner.trial.used else shipped,
        TRUE: shipped + by_labels(test) if by_labels else shipped,
    }
    found = {way: float((z.argmax(axis=1) == y[tested]).mean()) for way, z in logits.items()}
    found["camera"] = float((camera.argmax(axis=1) == y).mean())
    return found | {"in use": float(learner.trial.used)}


def heard(bundle: Bundle, voices: int, count: int, seed: int) -> Iterator[Voice]:
    """Yield the clips of each voice, encoded."""
    config, people = DigitsConfig(), personas(0)["eval"]
    shown = [each for each in plan(config) if each.split == "eval" and each.picture is not None]
    shape = bundle.specs["video"].shape
    kept = ((np.arange(shape[1]) + 0.5) * FPS / shape[1]).astype(int)  # of a film's frames
    names = [person.voice for person in people[:voices]] + list(FLITE if shutil.which("flite") else ())
    for number, name in enumerate(names):
        rng = np.random.default_rng([seed, number])
        person = people[number % len(people)]
        digits = rng.permutation(np.arange(count) % len(WORDS)).tolist()
        spoken = flite(name, digits, rng) if name in FLITE else own(person, digits, rng)
        sounds, pictures = [], []
        for digit, sound in zip(digits, spoken, strict=True):
            film = shown[rng.choice([i for i, each in enumerate(shown) if each.digit == digit])]
            assert film.picture is not None
            frames = render_video(digit_drawing(digit, film.picture, rng), film.persona, rng)
            sounds.append(bundle.encode("audio", render_audio(place(sound, rng), person, rng)[None]))
            pictures.append(bundle.encode("video", frames[kept][None]))
        truth = np.array([bundle.manifest.labels.index(WORDS[digit]) for digit in digits])
        yield Voice(name, np.stack(sounds), np.stack(pictures), truth)


def own(person: Persona, digits: Sequence[int], rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    says = [utterance(spelled(digit, person.voice, person.side), person, rng) for digit in digits]
    for sound in speak(says):
        yield trimmed(resample_poly(sound / 32768.0, 320, round(441 * person.tract)))


def flite(name: str, digits: Sequence[int], rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    with TemporaryDirectory() as folder:
        path = f"{folder}/said.wav"
        for digit in digits:
            pace = f"duration_stretch={rng.uniform(0.85, 1.2):.3f}"
            command = ["flite", "-voice", name, "--setf", pace, "-t", WORDS[digit], "-o", path]
            subprocess.run(command, check=True)
            with wave.open(path) as file:
                sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0
                yield trimmed(resample_poly(sound, 16000, file.getframerate()))


def trimmed(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    audible = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max())
    return sound[audible[0] : audible[-1] + 1]


def interval(shares: Sequence[float]) -> str:
    """Return the mean over voices in per cent, with a 95 % bootstrap interval of it."""
    rng = np.random.default_rng(0)
    means = rng.choice(shares, (2000, len(shares))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * np.mean(shares):.0f} % ({100 * low:.0f} to {100 * high:.0f})"


if __name__ == "__main__":
    main()
