"""Generate the `digits` dataset, deterministically, in the project's data format."""

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from filelock import FileLock
from numpy.typing import NDArray
from sensemble_runtime.progress import Progress
from sensemble_sensors.media.modalities import write_modalities
from sensemble_sensors.media.streams import FILE_NAME
from sensemble_sensors.spec import Channel, Modality

from sensemble_train import user_cache
from sensemble_train.digits.backgrounds import SOUNDS, near_sight, sight
from sensemble_train.digits.captions import caption, near_phrase, phrase
from sensemble_train.digits.drawing import digit_drawing
from sensemble_train.digits.filming import FPS, SIZE, render_video
from sensemble_train.digits.motion import CHANNELS, MOTION_RATE, RANGES, UNITS, render_motion, wrist
from sensemble_train.digits.plan import NEAR, ROOM, DigitsConfig, Plan, plan
from sensemble_train.digits.rendering import RATE, SECONDS, place, render_audio, render_room
from sensemble_train.digits.speech import resampled, speak
from sensemble_train.digits.streams import STREAM_FILES, StreamPlan, plan_streams, render_stream, write_scene
from sensemble_train.digits.voices import WORDS
from sensemble_train.digits.workers import submitted
from sensemble_train.errors import TrainError

VERSION = 13
# Examples that one process renders, after one synthesizer has spoken all their words in order: what eSpeak
# says depends a little on what it said before, so the bytes depend on this number, but not on the cores.
_CHUNK = 250


def cache_folder(config: DigitsConfig) -> Path:
    """Return the folder of the built dataset of this seed and version."""
    tag = f"digits-v{VERSION}-seed{config.seed}" + ("-imu" if config.imu else "")
    if config.streams != DigitsConfig().streams:
        tag += "-" + "-".join(f"{split}{seconds}" for split, seconds in config.streams)
    return user_cache.folder(tag)


def build(folder: Path, config: DigitsConfig, progress: Progress) -> Path:
    """Write the dataset to `folder`, unless it holds a finished one; an interrupted build starts over."""
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
    plans = plan(config)
    lines: list[str] = []
    chunks = [plans[i : i + _CHUNK] for i in range(0, len(plans), _CHUNK)]
    parts = [*plan_streams(config, plans), *chunks]  # which take about as long as each other
    streams: list[str] = []
    render = partial(_render, folder=partial_folder, config=config)
    try:
        with submitted(render, parts) as found:
            for done, (part, rendered) in enumerate(zip(parts, found, strict=True), 1):
                (streams if isinstance(part, StreamPlan) else lines).extend(rendered.result())
                progress(done, len(parts))
    except BrokenProcessPool as error:
        raise TrainError(
            "a process that renders examples was killed, perhaps for want of memory; build again"
        ) from error
    if config.imu:
        channels = tuple(
            Channel(*each) for each in zip(CHANNELS, UNITS, *np.transpose(RANGES).tolist(), strict=True)
        )
        write_modalities(partial_folder, {"imu": Modality("imu", "series", MOTION_RATE, channels)})
    if streams:
        (partial_folder / FILE_NAME).write_text("\n".join(streams) + "\n", encoding="utf-8")
    (partial_folder / "index.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial_folder.rename(folder)


def _render(plans: Sequence[Plan] | StreamPlan, *, folder: Path, config: DigitsConfig) -> list[str]:
    """Render a chunk of examples, or a stream; return their lines."""
    if isinstance(plans, StreamPlan):
        return [_render_stream(plans, folder, config.seed)]
    lines = []
    for each, spoken in zip(plans, _spoken(plans), strict=True):
        rng = np.random.default_rng([config.seed, 3, each.index])
        person, digit = each.persona, each.digit
        sound = _sound(each, spoken, rng)
        wave = np.zeros(int(RATE * SECONDS), np.float32)
        if each.sound == ROOM:
            wave = render_room(person, rng)
        elif sound is not None:
            wave = render_audio(sound, person, rng)
        near = each.sound == NEAR
        exposure = None
        if digit is not None and each.picture is not None:
            drawing = digit_drawing(digit, each.picture, rng)
        elif near:
            drawing = near_sight(person.side, rng)
        else:
            drawing, exposure = sight(person.side, rng)
        frames = render_video(drawing, person, rng, exposure)
        media = f"media/{each.index:05d}.mkv"
        _write_clip(folder / media, frames, wave)
        # Pretraining's examples have labels too, as AudioSet's do, only for the comparison of Sec. 6.2.
        entry: dict[str, object] = {"id": f"{each.split}-{each.index:05d}", "split": each.split}
        entry["labels"] = [] if digit is None else [WORDS[digit]]
        if digit is None:
            entry["background"] = NEAR if near else True
        entry |= {"group": each.groups, "video": media, "audio": media, "start": 0.0, "end": SECONDS}
        said = near_phrase(person.side, rng) if near else phrase(digit, person.side, rng)
        entry["text"] = caption(said, person.opening, person.place, rng)
        if config.imu:
            motion = f"media/{each.index:05d}.npy"
            np.save(folder / motion, _motion(each, config.seed))
            entry["imu"] = motion
        lines.append(json.dumps(entry))
    return lines


def _render_stream(plan: StreamPlan, folder: Path, seed: int) -> str:
    says = [(one, person.tract) for _, _, person, said in plan.acts for one in said]
    with closing(speak(one for one, _ in says)) as waves:
        spoken = [uttered(wave, tract) for wave, (_, tract) in zip(waves, says, strict=True)]
    scene = render_stream(plan, spoken, np.random.default_rng([seed, 7, plan.index]))
    name = f"media/stream-{plan.index:03d}"
    write_scene(folder, name, scene)
    entry = {"id": f"{plan.split}-{plan.index:03d}", "split": plan.split, "group": plan.groups}
    files = {field: f"{name}.{suffix}" for field, suffix in STREAM_FILES}
    entry |= {field: file for field, file in files.items() if (folder / file).exists()}
    return json.dumps(entry)


def _motion(each: Plan, seed: int) -> NDArray[np.float32]:
    """Return a wrist's motion, drawn apart, so that the other modalities do not depend on it."""
    worn = wrist(each.persona, np.random.default_rng([seed, 4, *each.groups[0].encode()]))
    return render_motion(each.digit, each.persona, worn, np.random.default_rng([seed, 5, each.index]))


def _spoken(plans: Sequence[Plan]) -> Iterator[list[NDArray[np.float64]]]:
    """Yield what is spoken in each example: float64 [n] at 16 kHz for each utterance, without silence."""
    with closing(speak(utterance for each in plans for utterance in each.says)) as waves:
        for each in plans:
            yield [uttered(wave, each.persona.tract) for wave in islice(waves, len(each.says))]


def uttered(wave: NDArray[np.int16], tract: float) -> NDArray[np.float64]:
    """Return an utterance at 16 kHz, without the silence around it, by a vocal tract of some length."""
    heard = np.flatnonzero(np.abs(wave.astype(float)) > 0.01 * np.abs(wave.astype(float)).max())
    # From 22,050 Hz to 16 kHz: of every 441 samples, 320 stay, and fewer of a short vocal tract's.
    return resampled(wave[heard[0] : heard[-1] + 1] / 32768.0, 320, round(441 * tract))


def _sound(
    each: Plan, spoken: list[NDArray[np.float64]], rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """Return an example's sound before its room; float64 [16000], or None for silence."""
    if each.sound in SOUNDS:
        return SOUNDS[each.sound](rng)
    return np.sum([place(wave, rng) for wave in spoken], axis=0) if spoken else None


def _write_clip(path: Path, frames: NDArray[np.uint8], wave: NDArray[np.float32]) -> None:
    """Write frames and sound losslessly (FFV1, PCM) into one Matroska file, the same bytes each time."""
    options = {"fflags": "+bitexact"}
    with av.open(str(path), "w", format="matroska", options=options) as container:
        video: VideoStream = container.add_stream("ffv1", rate=FPS)
        video.codec_context.thread_count = 1
        video.width, video.height, video.pix_fmt = SIZE, SIZE, "bgr0"  # with alpha, decoding takes longer
        audio: AudioStream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for i, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts = i
            container.mux(video.encode(picture))
        sound = av.AudioFrame.from_ndarray((32767 * wave).astype(np.int16)[None], format="s16", layout="mono")
        sound.sample_rate, sound.pts = RATE, 0
        container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
