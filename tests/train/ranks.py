"""What `test_trainer.py` starts in processes of their own: a few steps of a tiny model, on one rank or more.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.train.ranks '[{"folder": ...}, ...]'

Prints the losses of each job in turn, as rank 0 logged them.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from sensemble_train.contrastive import Contrastive
from sensemble_train.data import Clips
from sensemble_train.mae import MAE, MAEConfig
from sensemble_train.methods import Task
from sensemble_train.model import Model
from sensemble_train.parallel import ScaleConfig, World, join
from sensemble_train.schedule import Optimization
from sensemble_train.steplog import read_losses
from sensemble_train.trainer import Loop, fit

from tests.train.tiny import MASKED, raw_inputs, tiny_model

STEPS = 6


@dataclass(frozen=True)
class Job:
    """A training loop of `STEPS` steps; killed at the beginning of step `kill`, if there is one."""

    folder: str
    objective: str = "contrastive"
    scale: dict[str, object] = field(default_factory=dict)
    drop_path: float = 0.0
    kill: int = -1


def examples(count: int = 21) -> Clips:
    model = tiny_model(MASKED)
    features = {m: model.encoders[m].front(x).detach() for m, x in raw_inputs(count).items()}
    present = {m: torch.arange(count) % 7 != place for place, m in enumerate(features)}
    return Clips(features, present, torch.arange(count) % 3)


def train(job: Job, world: World) -> list[float]:
    model = tiny_model(MASKED)
    for encoder in model.encoders.values():
        for block in encoder.trunk.blocks:
            block.drop_path = job.drop_path
    settings = Optimization(steps=STEPS, batch=8, learning_rate=1e-2, warmup=2, clip=1.0)

    def progress(done: int, _steps: int) -> None:
        if done == job.kill:
            os.kill(os.getpid(), signal.SIGKILL)

    loop = Loop(Path(job.folder), 3, ScaleConfig(**job.scale), world, progress=progress)  # type: ignore[arg-type]
    if job.objective == "contrastive":
        fit(Contrastive(model), [examples()], settings, loop)
    elif job.objective == "mae":
        shared = Model(replace(model.description, shared=1), model.tokenizer)
        fit(MAE(shared, MAEConfig(width=16, depth=1, heads=2)), [examples()], settings, loop)
    else:
        sources = [examples().having(("video",)), examples().having(model.modalities)]
        fit(Task(model, ("video",), 0.5), sources, settings, loop)
    world.barrier()
    return read_losses(Path(job.folder))


def main() -> None:
    torch.set_num_threads(1)
    jobs = [Job(**job) for job in json.loads(sys.argv[1])]
    with join() as world:
        found = [train(job, world) for job in jobs]
    if world.rank == 0:
        print(json.dumps(found))  # noqa: T201 - for the test


if __name__ == "__main__":
    main()
