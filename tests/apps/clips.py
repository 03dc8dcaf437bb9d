"""A tiny labelled dataset that a model learns in seconds: colours, tones and captions, written with PyAV."""

import json
from pathlib import Path

import numpy as np

from tests.sensors.studio import write_media

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
    write_media(path, frames, np.clip(wave, -1, 1)[None], fps=FPS, rate=RATE)
