"""Own data, from takes to a bundle: `python apps/benchmarks/own_takes.py OUT [--takes 20]`.

Records takes of three classes as a person would (`sensemble_train.digits.spoken_takes`), divides them by
group, trains with the steps that follow from the data, exports, and audits the float models on the takes that
were held out. Prints what each part took on this machine, in seconds and in seconds of a core.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import monotonic

from sensemble_apps.tables.matrices import at_chance, most_robust, read_intervals
from sensemble_export import export_run
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors import divide, read_dataset, set_splits
from sensemble_train import Config, derived, run
from sensemble_train.digits.spoken_takes import record


def cores() -> float:
    """Return the seconds of a core that this process and its children have used."""
    return sum(used.ru_utime + used.ru_stime for used in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


@contextmanager
def timed(part: str) -> Iterator[None]:
    began, used = monotonic(), cores()
    yield
    print(f"{part:10} {monotonic() - began:6.0f} s, {cores() - used:5.0f} s of a core", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--takes", type=int, default=20)
    arguments = parser.parse_args()
    data, out = arguments.out / "takes", arguments.out / "run"
    if not data.exists():
        with timed("record"):
            record(data, arguments.takes, backgrounds=6)
        set_splits(data, divide(read_dataset(data)).splits)
    dataset = read_dataset(data)
    config = derived(Config(str(data), (subset_name(dataset.modalities),)), dataset)
    counts = ", ".join(f"{len(dataset.split(split))} {split}" for split in ("train", "calibrate", "eval"))
    print(f"{counts}; pretraining {config.pretrain.steps} steps, finetuning {config.finetune.steps}")
    with timed("train"):
        run(config, out)
    method, train = most_robust(out / "matrix.calibrate.json")
    with timed("export"):
        export_run(out, method, train)
    for each, rows in read_intervals(out / "matrix.json").items():
        for evaluated, (score, chance) in rows[subset_name(train)].items():
            print(
                f"{each:14} {evaluated:12} {score.accuracy:.0%} ({score.low:.0%} to {score.high:.0%}) of "
                f"{score.n}, chance {chance:.0%}{'  ships' if each == method else ''}"
            )
    print(*at_chance(out / "matrix.json", method, train), sep="\n")


if __name__ == "__main__":
    main()
