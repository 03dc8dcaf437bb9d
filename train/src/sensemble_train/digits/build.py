"""Generate the `digits` dataset, deterministically, in the project's data format."""

import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
import platformdirs
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from filelock import FileLock
from numpy.typing import NDArray
from sensemble_runtime.progress import Progress

from sensemble_train.digits import speech
from sensemble_train.digits.captions import caption
from sensemble_train.digits.clips import FPS, RATE, SECONDS, SIZE, render_audio, render_video
from sensemble_train.digits.personas import Persona, personas
from sensemble_train.digits.words import WORDS

VERSION = 4


@dataclass(frozen=True, slots=True)
class DigitsConfig:
    """The size and the difficulty of `digits`.

    Attributes:
        seed: decides the people, the splits and every rendering.
        pictures: number of the 1,797 pictures in each split; no picture is in two.
        renderings: number of times each picture of a split is filmed, spoken and captioned.
        video_noise: standard deviation of the pixels' noise, relative to full scale.
        audio_noise: median standard deviation of the microphone's noise, relative to full scale.
    """

    seed: int = 0
    pictures: tuple[tuple[str, int], ...] = (
        ("pretrain", 800),
        ("calibrate", 100),
        ("train", 397),
        ("eval", 500),
    )
    renderings: tuple[tuple[str, int], ...] = (("pretrain", 3), ("calibrate", 2), ("train", 2), ("eval", 2))
    video_noise: float = 0.06
    audio_noise: float = 0.015


@dataclass(frozen=True, slots=True)
class _Plan:
    """An example before it is rendered."""

    index: int
    split: str
    group: str
    picture: NDArray[np.float64]
    digit: int
    persona: int


TAKES = 2


def cache_folder(config: DigitsConfig) -> Path:
    """Return the folder of the built dataset of this seed and version."""
    tag = f"digits-v{VERSION}-seed{config.seed}"
    return Path(platformdirs.user_cache_dir("sensemble")) / tag


def build(folder: Path, config: DigitsConfig, progress: Progress) -> Path:
    """Write the dataset to `folder`, unless it holds a finished one; an interrupted build starts over.

    Args:
        folder: folder of `index.jsonl` and `media/`.
        config: size and difficulty.
        progress: called with (examples done, examples in all).

    Returns:
        `folder`.
    """
    if (folder / "index.jsonl").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):  # another process may build it too
        if not (folder / "index.jsonl").exists():
            _build(folder, config, progress)
    return folder


def _build(folder: Path, config: DigitsConfig, progress: Progress) -> None:
    partial_folder = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    (partial_folder / "media").mkdir(parents=True)
    people = personas(config.seed)
    plans = _plan(config)
    bank = _speech_bank(people)
    lines: list[str] = []
    chunks = [plans[i : i + 100] for i in range(0, len(plans), 100)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(multiprocessing.cpu_count(), mp_context=context) as pool:
        render = partial(_render_chunk, folder=partial_folder, config=config, people=people)
        banks = ([bank[plan.persona] for plan in chunk] for chunk in chunks)
        for chunk_lines in pool.map(render, chunks, banks):
            lines += chunk_lines
            progress(len(lines), len(plans))
    (partial_folder / "index.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial_folder.rename(folder)


def _plan(config: DigitsConfig) -> list[_Plan]:
    from sklearn.datasets import (
        load_digits,
    )  # takes seconds to import, and rendering processes do not need it

    rng = np.random.default_rng([config.seed, 2])
    digits = load_digits()
    order = rng.permutation(len(digits.target))
    plans: list[_Plan] = []
    first = 0
    for (split, count), (_, renderings) in zip(config.pictures, config.renderings, strict=True):
        for picture in order[first : first + count]:
            for _ in range(renderings):
                persona = int(rng.integers(len(personas(config.seed))))
                digit = int(digits.target[picture])
                group = f"picture {picture}"
                plans.append(_Plan(len(plans), split, group, digits.images[picture], digit, persona))
        first += count
    return plans


def _speech_bank(people: tuple[Persona, ...]) -> list[list[list[NDArray[np.float32]]]]:
    """Speak every digit `TAKES` times by every persona, as [persona][digit][take] float32 at 16 kHz."""
    from scipy.signal import resample_poly

    takes = [
        speech.Utterance(word, person.voice, person.pitch + 6 * take, person.pace + 15 * take)
        for person in people
        for word in WORDS
        for take in range(TAKES)
    ]
    waves = [resample_poly(w / 32768.0, 320, 441).astype(np.float32) for w in speech.speak(takes)]
    cells = [waves[i : i + TAKES] for i in range(0, len(waves), TAKES)]
    return [cells[i : i + len(WORDS)] for i in range(0, len(cells), len(WORDS))]


def _render_chunk(
    plans: list[_Plan],
    banks: list[list[list[NDArray[np.float32]]]],
    *,
    folder: Path,
    config: DigitsConfig,
    people: tuple[Persona, ...],
) -> list[str]:
    lines = []
    for plan, bank in zip(plans, banks, strict=True):
        rng = np.random.default_rng([config.seed, 3, plan.index])
        person, digit = people[plan.persona], plan.digit
        frames = render_video(plan.picture, person, rng, config.video_noise)
        wave = render_audio(bank[digit][int(rng.integers(TAKES))], person, rng, config.audio_noise)
        media = f"media/{plan.index:05d}.mkv"
        _write_clip(folder / media, frames, wave)
        # Pretraining's examples have labels too, as AudioSet's do, only for the comparison of Sec. 6.2.
        entry: dict[str, object] = {"id": f"{plan.split}-{plan.index:05d}", "split": plan.split}
        entry |= {"labels": [WORDS[digit]], "group": plan.group}
        entry |= {"video": media, "audio": media, "start": 0.0, "end": SECONDS}
        entry["text"] = caption(digit, person.opening, person.place, rng)
        lines.append(json.dumps(entry))
    return lines


def _write_clip(path: Path, frames: NDArray[np.uint8], wave: NDArray[np.float32]) -> None:
    """Write frames and sound losslessly (FFV1, PCM) into one Matroska file, the same bytes each time."""
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="matroska", options=options) as container:
        video: VideoStream = container.add_stream("ffv1", rate=FPS)
        video.codec_context.thread_count = 1
        video.width, video.height, video.pix_fmt = SIZE, SIZE, "bgra"
        audio: AudioStream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        opaque = np.full((*frames.shape[:3], 1), 255, np.uint8)
        for i, image in enumerate(np.concatenate([frames[..., ::-1], opaque], axis=-1)):
            picture = av.VideoFrame.from_ndarray(image, format="bgra")
            picture.pts = i
            container.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray((32767 * wave).astype(np.int16)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = RATE, 0
        container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
