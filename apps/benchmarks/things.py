"""Write pictures of things, with speech and captions that say the same, as a dataset.

    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 emoji-datasource-facebook@16.0.0 \
        emojilib@4.0.3
    for f in *.tgz; do mkdir ${f%-*} && tar xf $f -C ${f%-*}; done
    uv run python apps/benchmarks/things.py PACKAGES OUT

A thing is an emoji of one of sixteen classes, of which the commonest has a quarter. Three vendors draw it, an
example each. Two of emojilib's keywords, one that other emoji have too, are spoken in a noisy room, and the
caption is the same words. A person shows about four things. No thing, person or timbre of a voice is on two
sides.
"""

import json
import sys
import wave
from collections import Counter
from pathlib import Path
from shutil import copy

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly
from sensemble_train.digits.speech import Utterance, speak
from sensemble_train.digits.voices import ENGLISH, VARIANTS, Side

VENDORS = "google", "twitter", "facebook"
CLASSES = {  # things of a class, and what emoji-datasource calls it
    "animal": (110, ["animal-bird", "animal-bug", "animal-mammal", "animal-marine", "animal-reptile"]),
    "food": (60, ["food-asian", "food-fruit", "food-prepared", "food-sweet", "food-vegetable"]),
    "vehicle": (40, ["transport-air", "transport-ground", "transport-water"]),
    "clothing": (32, ["clothing"]),
    "weather": (28, ["sky & weather"]),
    "sport": (24, ["sport"]),
    "building": (22, ["place-building", "place-religious"]),
    "paper": (20, ["book-paper", "office", "writing"]),
    "plant": (18, ["plant-flower", "plant-other"]),
    "drink": (16, ["drink"]),
    "tool": (16, ["tool"]),
    "face": (15, ["face-affection", "face-concerned", "face-negative", "face-smiling"]),
    "music": (12, ["musical-instrument", "music"]),
    "device": (10, ["computer", "phone"]),
    "heart": (8, ["heart"]),
    "laboratory": (7, ["science"]),
}
SIDES: dict[Side, float] = {"train": 0.4, "calibrate": 0.22, "eval": 0.38}  # shares of the things
THINGS = 4  # of a person
SHARED = 8  # emoji of a common keyword
SECONDS, HERTZ = 2.0, 16_000
NOISE, LEVEL = (5.0, 25.0), (-30.0, -3.0)  # dB below the speech; dB of full scale


def main(packages: Path, out: Path) -> None:
    draw = np.random.default_rng(0)
    (out / "media").mkdir(parents=True)
    listed = json.loads((packages / "emoji-datasource-google/package/emoji.json").read_text("utf-8"))
    keywords = json.loads((packages / "emojilib/package/dist/emoji-en-US.json").read_text("utf-8"))
    sides: dict[Side, list[tuple[str, dict[str, str]]]] = {side: [] for side in SIDES}
    for label, (count, sorts) in CLASSES.items():
        things = [e for e in listed if e["subcategory"] in sorts and symbol(e["unified"]) in keywords]
        things = [things[row] for row in draw.permutation(len(things))[:count]]
        ends = np.round(np.cumsum([*SIDES.values()]) * len(things)).astype(int)
        for side, part in zip(SIDES, np.split(np.arange(len(things)), ends[:-1]), strict=True):
            sides[side] += [(label, things[row]) for row in part]
    shared = Counter(
        word.replace("_", " ") for e in listed for word in keywords.get(symbol(e["unified"]), ())
    )
    lines, spoken, counts = list[dict[str, object]](), list[Utterance](), Counter[str]()
    for side, shown in sides.items():
        for place, row in enumerate(draw.permutation(len(shown))):
            person = place // THINGS
            voice = np.random.default_rng([0, list(SIDES).index(side), person])
            variant = VARIANTS[side][person % len(VARIANTS[side])]
            name = f"{voice.choice(ENGLISH)}+{variant}"
            pitch, pace = int(voice.integers(30, 71)), int(voice.integers(140, 211))
            label, thing = shown[row]
            title, *words = [word.replace("_", " ") for word in keywords[symbol(thing["unified"])]]
            words = [word for word in words if word.isascii() and label not in word] or [title]
            common = [word for word in words if shared[word] >= SHARED] or words
            for vendor in VENDORS:
                picture = packages / f"emoji-datasource-{vendor}/package/img/{vendor}/64/{thing['image']}"
                if not picture.exists():
                    continue
                said = f"{draw.choice([title, *words])} {draw.choice(common)}"
                file = f"media/{thing['unified'].lower()}-{vendor}"
                copy(picture, out / f"{file}.png")
                lines.append({"id": f"{thing['short_name']}-{vendor}", "split": side, "labels": [label]})
                lines[-1] |= {"group": f"{side} {person}", "image": f"{file}.png", "audio": f"{file}.wav"}
                lines[-1]["text"] = said
                counts[f"{side} {label}"] += 1
                spoken.append(Utterance(said, name, pitch, pace))
    for line, speech in zip(lines, speak(spoken), strict=True):
        with wave.open(str(out / str(line["audio"])), "wb") as sound:
            sound.setparams((1, 2, HERTZ, 0, "NONE", ""))
            sound.writeframes(room(resample_poly(speech.astype(float), 320, 441), draw).tobytes())
    (out / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    print(*(f"{key}: {count}" for key, count in counts.most_common()), sep="\n")


def symbol(unified: str) -> str:
    """Return the characters of an emoji."""
    return "".join(chr(int(code, 16)) for code in unified.split("-"))


def room(speech: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.int16]:
    """Place speech in two seconds of a noisy room, at some level."""
    count = round(SECONDS * HERTZ)
    speech = speech[:count]
    start = int(draw.integers(0, count - len(speech) + 1))
    sound = np.pad(speech, (start, count - len(speech) - start))
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / HERTZ), 20)
    noise = np.fft.irfft(np.fft.rfft(draw.normal(size=count)) * hertz ** (-draw.uniform(0, 1)))
    sound += noise / noise.std() * speech.std() * 10 ** (-draw.uniform(*NOISE) / 20)
    loudest = 32767 * 10 ** (draw.uniform(*LEVEL) / 20)
    return np.asarray(np.round(loudest * sound / np.abs(sound).max()), np.int16)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
