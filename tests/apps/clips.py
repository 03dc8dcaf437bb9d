"""A tiny labelled dataset that a model learns in seconds: colours, tones and captions, written with PyAV."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CLASSES = {"zero": ((220, 40, 40), 300.0), "one": ((40, 200, 60), 700.0), "two": ((50, 70, 220), 1500.0)}
FPS, RATE, SIZE, SECONDS = 8, 16000, 32, 1.0


def write_dataset(folder: Path, per_split: dict[str, int]) -> Path:
    """Write `per_split[split]` examples of each class; each varies in colour, pitch, noise and wording."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    lines = []
    for split, count in per_split.items():
        for i in range(count):
            for label, (colour, hertz) in CLASSES.items():
                name = f"{split}-{label}-{i}"
                write_clip(folder / f"{name}.mkv", colour, hertz * rng.uniform(0.95, 1.05), rng)
                word = rng.choice([f"a {label} here", "something", f"this is {label}"])
                line = {"id": name, "split": split, "labels": [] if split == "pretrain" else [label]}
                lines.append({**line, "video": f"{name}.mkv", "audio": f"{name}.mkv", "text": str(word)})
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def write_clip(path: Path, colour: tuple[int, int, int], hertz: float, rng: np.random.Generator) -> None:
    """Write a second of a colour and a tone."""
    frames = np.clip(rng.normal(colour, 12, (int(FPS * SECONDS), SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    times = np.arange(int(RATE * SECONDS)) / RATE
    wave = 0.4 * np.sin(2 * np.pi * hertz * times) + rng.normal(0, 0.02, len(times))
    with av.open(str(path), "w") as container:
        picture = container.add_stream("ffv1", rate=FPS, options={})
        picture.width = picture.height = SIZE
        picture.pix_fmt = "bgr0"
        sound = container.add_stream("flac", rate=RATE, layout="mono")
        for i, frame in enumerate(frames):
            shot = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")
            shot.pts, shot.time_base = i, Fraction(1, FPS)
            container.mux(picture.encode(shot))
        pcm = np.round(np.clip(wave, -1, 1) * 32767).astype(np.int16)[None]
        samples = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(sound.encode(samples))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
