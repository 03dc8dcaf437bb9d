"""A few steps of a tiny model, on one rank or more, for `test_loop.py`, which starts it as a process.

    python -m torch.distributed.run --nproc-per-node 2 -m tests.train.ranks '[{"folder": ...}, ...]'
    python -m tests.train.ranks '[{"folder": ...}]' 7

prints the losses of each job in turn, as rank 0 logged them. Ranks with several jobs first compare our
contrastive loss with open_clip's. With a seed, a job is killed again and again at moments drawn from it,
before it may end.
"""

import json
import os
import random
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter, sleep

import torch
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import Sampling
from sensemble_train.data.clips import Clips
from sensemble_train.distributed import World, alone, join
from sensemble_train.experiments.config import MAEConfig
from sensemble_train.experiments.mae import MAE
from sensemble_train.experiments.streamed import Streamed
from sensemble_train.models.augment_config import PAPER, AugmentConfig
from sensemble_train.models.model import Model
from sensemble_train.objectives.contrastive import Contrastive
from sensemble_train.objectives.subset_distillation import SubsetDistillation
from sensemble_train.objectives.task import Distillation
from sensemble_train.recipe.fusion import teach
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization
from sensemble_train.training.scale import ScaleConfig

from tests.losses import read_losses
from tests.train.openai_clip_ranks import compare
from tests.train.tiny import MASKED, raw_inputs, tiny_model

STEPS, KILLS = 4, 2


@dataclass(frozen=True)
class Job:
    """A training loop; it ends behind step `stop`, if there is one.

    Behind step `killed` its last rank dies with the launcher, as a host does.

    With `data`, a folder of dark and bright clips, its examples are streamed and augmented.
    """

    folder: str
    objective: str = "contrastive"
    scale: dict[str, object] = field(default_factory=dict)
    drop_path: float = 0.0
    stop: int = -1
    killed: int = -1
    steps: int = STEPS
    data: str = ""


class StoppedError(Exception):
    """As if the process had died."""


def examples(count: int = 21) -> Clips:
    model = tiny_model(MASKED)
    features = {m: model.encoders[m].front(x).detach() for m, x in raw_inputs(count).items()}
    present = {m: torch.arange(count) % 7 != place for place, m in enumerate(features)}
    return Clips(features, present, torch.arange(count) % 3)


def streamed(model: Model, folder: str, split: str) -> Streamed:
    dataset = read_dataset(Path(folder))
    description = replace(model.description, labels=("bright", "dark", "neither"))
    sampling = Sampling(1, (1.0, 1.3))
    raw = Streamed(dataset.split(split), description, model.tokenizer, sampling, 5, skip_bad=False)
    return raw.mapped(lambda clips: replace(clips, inputs=model.front(clips.inputs)))


def is_halved(model: Model) -> bool:
    from torch.distributed.tensor import DTensor  # takes a rank that is alone as long as torch

    shares = [p.to_local().numel() / p.numel() for p in model.parameters() if isinstance(p, DTensor)]
    return 0.5 in shares


def train(job: Job, world: World) -> list[float]:
    model = tiny_model(MASKED)
    for encoder in model.encoders.values():
        for block in encoder.trunk.blocks:
            block.drop_path = job.drop_path
    settings = Optimization(steps=job.steps, batch=8, learning_rate=1e-2, warmup=2, clip=1.0)

    def progress(done: int, _steps: int) -> None:
        assert world.size == 1 or is_halved(model) == scale.shard
        if done == job.stop:
            raise StoppedError
        if done == job.killed and world.rank == world.size - 1:
            for process in os.getppid(), os.getpid():
                os.kill(process, signal.SIGKILL)

    scale = ScaleConfig(**job.scale)  # type: ignore[arg-type]
    changes = replace(PAPER, time=4, bins=20) if job.data else AugmentConfig()
    loop = Loop(Path(job.folder), 3, scale, world, changes, progress)
    with suppress(StoppedError):
        if job.objective == "contrastive":
            fit(Contrastive(model), [examples()], settings, loop)
        elif job.objective == "mae":
            shared = Model(replace(model.description, shared=1), model.tokenizer)
            fit(MAE(shared, MAEConfig(width=16, depth=1, heads=2)), [examples()], settings, loop)
        else:
            labelled, unlabelled = (
                (streamed(model, job.data, split) if job.data else examples())
                for split in ("train", "pretrain")
            )
            whole = unlabelled.having(model.modalities)
            if job.objective == "subset":
                taught = teach(tiny_model(MASKED, seed=1), whole, loop)
                sources = [labelled.having(("audio", "video")), taught]
                fit(SubsetDistillation(model, ("audio", "video"), 0.5), sources, settings, loop)
            else:
                sources = [labelled.having(("video",)), whole]
                fit(Distillation(model, ("video",), 0.5), sources, settings, loop)
    world.barrier()
    return read_losses(Path(job.folder))


def kill_at_random(job: Job, draw: random.Random) -> None:
    """Start the job `KILLS` times and kill it while it computes, logs or saves; then let it end."""
    whole = replace(job, folder=f"{job.folder}-timed")
    seconds = 0.0
    for number in range(KILLS + 2):
        begun = perf_counter()
        child = os.fork()  # imports nothing again
        if not child:
            train(job if number else whole, alone())
            os._exit(0)
        if 0 < number <= KILLS:
            sleep(draw.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert 0 < number <= KILLS or status == 0
        seconds = seconds or perf_counter() - begun


def main() -> None:
    torch.set_num_threads(1)
    jobs = [Job(**job) for job in json.loads(sys.argv[1])]
    for seed in sys.argv[2:]:
        draw = random.Random(int(seed))  # noqa: S311 - no secret
        for job in jobs:
            kill_at_random(job, draw)
    with join() as world:
        if len(jobs) > 1 and world.size > 1:
            compare(("audio", "text", "video"), world.rank, world.size)
        found = [train(job, world) for job in jobs]
    if world.rank == 0:
        print(json.dumps(found))  # noqa: T201 - for the test


if __name__ == "__main__":
    main()
