"""Train on a folder of clips, and export the model as a bundle.

    uv run python apps/examples/train_and_export.py CLIPS RUN STEPS

CLIPS is in the data format (docs/reference/data.md). Started again, it goes on where it stopped.
"""

import sys

from sensemble_export import export_run
from sensemble_train import Config, FinetuneConfig, PretrainConfig, run


def main(clips: str, out: str, steps: int) -> None:
    """Train on video labels alone, print the scores on each set of sensors, and export."""
    config = Config(
        clips,
        train_modalities=("video",),
        pretrain=PretrainConfig(steps=steps),
        finetune=FinetuneConfig(steps=steps),
    )
    matrix = run(config, out)
    for sensors, accuracy in matrix["subset"]["video"].items():
        print(f"{sensors:20} {accuracy:.0%}")
    print(export_run(out, "subset", ["video"]).bundle)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
