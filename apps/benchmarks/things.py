"""Pictures of things with spoken and written descriptions, from emoji: what ships, late fusion and MASD.

    npm pack emoji-datasource-google emoji-datasource-twitter emoji-datasource-facebook emojilib
    for f in *.tgz; do mkdir ${f%-*}; tar xf $f -C ${f%-*}; done
    uv run python apps/benchmarks/things.py OUT --emoji . [--labels audio+text+video video] [--seeds 0 1 2]

A thing is an emoji of one of thirteen classes. Three vendors draw it, an example each, beside which a
synthetic voice names it in a noisy room, and two of emojilib's keywords are written. A fifth of the things
have labels, a fifth are for choosing (`calibrate`), and a quarter for reporting; neither a thing nor the
timbre of a voice is on two sides. All encoders are pretrained and frozen. What ships has its modalities
balanced by the labels of `calibrate`; so have the rows `late_fusion_balanced` and `masd_balanced`. It prints
P, R and the accuracy of each set of sensors.
"""

import argparse
import json
import wave
from pathlib import Path
from shutil import copy
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly
from sensemble_apps.console.progress import stages
from sensemble_sensors import read_dataset
from sensemble_train import Config, derived
from sensemble_train.digits.speech import Utterance, speak
from sensemble_train.digits.voices import ENGLISH, VARIANTS, Side
from sensemble_train.experiments import matrix
from sensemble_train.models.model import Model
from sensemble_train.recipe.embedding_lengths import balanced, fitted
from sensemble_train.recipe.job import Cell
from sensemble_train.recipe.run_folder import read_matrix

ENCODERS = {"audio": "whisper-tiny.en", "video": "efficientnet-lite0", "text": "minilm"}
VENDORS = "google", "twitter", "facebook"
CLASSES = {
    "animal": ["animal-bird", "animal-bug", "animal-mammal", "animal-marine", "animal-reptile"],
    "plant": ["plant-flower", "plant-other"],
    "food": ["food-asian", "food-fruit", "food-prepared", "food-sweet", "food-vegetable"],
    "drink": ["drink", "dishware"],
    "clothing": ["clothing"],
    "vehicle": ["transport-air", "transport-ground", "transport-water"],
    "weather": ["sky & weather"],
    "building": ["place-building", "place-religious"],
    "tool": ["tool", "household", "lock"],
    "music": ["music", "musical-instrument", "sound"],
    "paper": ["book-paper", "office", "writing", "mail"],
    "sport": ["sport", "game", "award-medal"],
    "face": ["face-affection", "face-concerned", "face-negative", "face-smiling", "face-unwell"],
}
SPLITS = {"train": 0.2, "calibrate": 0.2, "eval": 0.25, "pretrain": 0.35}
"""The share of the things on each side."""
SECONDS, HERTZ = 1.5, 16_000
NOISE, LEVEL = (5.0, 25.0), (-30.0, -3.0)  # dB below the speech; dB of full scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--emoji", type=Path, required=True)
    parser.add_argument("--labels", nargs="*", default=["audio+text+video", "video"], help="each M_T")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments = parser.parse_args()
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in arguments.seeds:
        data, run = arguments.out / f"data-{seed}", arguments.out / f"run-{seed}"
        if not data.exists():
            build(data, arguments.emoji, seed)
        config = Config(str(data), tuple(arguments.labels), seed, encoders=ENCODERS)
        with stages() as advance:
            matrix.run(derived(config, read_dataset(data)), run, advance, rows=ROWS)
        for method, rows in read_matrix(run).items():
            for labels, row in rows.items():
                found.setdefault((labels, method), []).append(row)
    for (labels, method), each in sorted(found.items()):
        sets = ", ".join(f"{name} {100 * fmean(row[name] for row in each):.1f}" for name in each[0])
        p, r = (100 * fmean(of(row.values()) for row in each) for of in (fmean, min))
        print(f"labels on {labels}, {method}: P {p:.1f}, R {r:.1f}; {sets} (seeds {arguments.seeds})")


def masd_balanced(cell: Cell) -> Model:
    """Return MASD's model with the balance that what ships has."""
    return cell.trained(
        "masd_balanced",
        lambda _: balanced(matrix.ROWS["masd"](cell), cell.sources["calibrate"], cell.job.loop("balance")),
    )


def late_fusion_balanced(cell: Cell) -> Model:
    """Return late fusion whose temperatures, each fitted alone, are fitted together as that balance is."""
    fused = cell.late_fusion()
    lengths = fitted(fused, cell.sources["calibrate"], cell.job.loop("balance"))
    for m, length in lengths.items():
        fused.encoders[m].temperature /= length  # type: ignore[assignment, operator]
    return fused


ROWS = {name: matrix.ROWS[name] for name in ("subset", "late_fusion", "masd")}
ROWS |= {"late_fusion_balanced": late_fusion_balanced, "masd_balanced": masd_balanced}


def build(data: Path, emoji: Path, seed: int) -> None:
    """Write the examples of one seed in the data format."""
    draw = np.random.default_rng(seed)
    data.mkdir(parents=True)
    listed = json.loads((emoji / "emoji-datasource-google/package/emoji.json").read_text("utf-8"))
    keywords = json.loads((emoji / "emojilib/package/dist/emoji-en-US.json").read_text("utf-8"))
    lines, said = list[dict[str, object]](), list[Utterance]()
    for label, sorts in CLASSES.items():
        things = [e for e in listed if e["subcategory"] in sorts and symbol(e["unified"]) in keywords]
        sides = np.repeat(
            list(SPLITS), np.diff(np.round(np.cumsum([0, *SPLITS.values()]) * len(things)).astype(int))
        )
        for split, row in zip(sides, draw.permutation(len(things)), strict=True):
            thing = things[row]
            words = [
                word.replace("_", " ") for word in keywords[symbol(thing["unified"])] if word not in CLASSES
            ]
            for vendor in VENDORS:
                picture = emoji / f"emoji-datasource-{vendor}/package/img/{vendor}/64/{thing['image']}"
                if not picture.exists():
                    continue
                name = f"{thing['short_name']}-{vendor}"
                copy(picture, data / f"{name}.png")
                side: Side = "train" if split == "pretrain" else split
                voice = f"{draw.choice(ENGLISH[:2])}+{draw.choice(VARIANTS[side])}"
                pitch, pace = int(draw.integers(30, 71)), int(draw.integers(140, 211))
                said.append(
                    Utterance(thing["short_name"].replace("_", " ").replace("-", " "), voice, pitch, pace)
                )
                line = {"id": name, "split": str(split), "labels": [label], "group": thing["short_name"]}
                line |= {"image": f"{name}.png", "audio": f"{name}.wav"}
                line["text"] = ", ".join(
                    draw.choice(words[1:] or words, min(2, len(words[1:]) or 1), replace=False)
                )
                lines.append(line)
    for line, speech in zip(lines, speak(said), strict=True):
        with wave.open(str(data / str(line["audio"])), "wb") as file:
            file.setparams((1, 2, HERTZ, 0, "NONE", ""))
            file.writeframes(room(resample_poly(speech.astype(float), 320, 441), draw).tobytes())
    (data / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


def symbol(unified: str) -> str:
    """Return the characters of an emoji."""
    return "".join(chr(int(code, 16)) for code in unified.split("-"))


def room(speech: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.int16]:
    """Place speech in a second and a half of a noisy room, at some level."""
    count = round(SECONDS * HERTZ)
    speech = speech[:count]
    sound = np.pad(
        speech, (start := int(draw.integers(0, count - len(speech) + 1)), count - len(speech) - start)
    )
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / HERTZ), 20)
    noise = np.fft.irfft(np.fft.rfft(draw.normal(size=count)) * hertz ** (-draw.uniform(0, 1)))
    sound += noise / noise.std() * speech.std() * 10 ** (-draw.uniform(*NOISE) / 20)
    loudest = 32767 * 10 ** (draw.uniform(*LEVEL) / 20)
    return np.asarray(np.round(loudest * sound / np.abs(sound).max()), np.int16)


if __name__ == "__main__":
    main()
