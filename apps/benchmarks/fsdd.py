"""People's spoken digits by speaker left out: what ships, trained on five people, of the sixth.

    uv run python apps/benchmarks/fsdd.py OUT --fsdd recordings [--takes 50] [--seeds 0]

RECORDINGS is FSDD's folder (`DIGIT_NAME_N.wav`; CC BY-SA 4.0). Whisper, frozen, reads sound, the only sensor.
"""

import argparse
import json
from pathlib import Path
from statistics import fmean

from sensemble_apps.console.progress import stages
from sensemble_sensors import read_dataset
from sensemble_train import Config, derived
from sensemble_train.recipe import recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--fsdd", type=Path, required=True)
    parser.add_argument("--takes", type=int, default=50, help="of each digit and person")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    arguments = parser.parse_args()
    people = sorted({path.stem.split("_")[1] for path in arguments.fsdd.glob("?_*.wav")})
    found = []
    for seed in arguments.seeds:
        for person in people:
            data, run = (arguments.out / f"{what}-{person}-{seed}" for what in ("data", "run"))
            build(data, arguments.fsdd.resolve(), person, arguments.takes)
            config = Config(str(data), ("audio",), seed, encoders={"audio": "whisper-tiny.en"})
            with stages() as advance:
                matrix = recipe.run(derived(config, read_dataset(data)), run, advance)
            found.append(100 * matrix["subset"]["audio"]["audio"])
            print(f"{person}, seed {seed}: {found[-1]:.1f} % right", flush=True)
    print(f"mean of {len(found)}: {fmean(found):.1f} %")


def build(data: Path, fsdd: Path, left_out: str, takes: int) -> None:
    """Write the index of one division in the data format, beside links to the recordings."""
    data.mkdir(parents=True, exist_ok=True)
    lines = []
    for path in sorted(fsdd.glob("?_*.wav")):
        digit, person, take = path.stem.split("_")
        if int(take) < takes:
            if not (data / path.name).exists():
                (data / path.name).hardlink_to(path)
            split = "eval" if person == left_out else "train"
            line = {"id": path.stem, "split": split, "labels": [digit], "group": person, "audio": path.name}
            lines.append(json.dumps(line))
    (data / "index.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
