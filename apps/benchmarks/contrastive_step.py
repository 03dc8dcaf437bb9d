"""A contrastive training step of ViT-B/16 on images and captions, beside open_clip's own.

`uv run python apps/benchmarks/contrastive_step.py [--batch 8] [--rounds 5]` gives both models the same
random weights, checks that their first losses agree, and takes steps in turn, each as often first as second:
forward, CLIP's loss, backward, AdamW, the bound of the temperature. It prints the samples a second of each,
by the medians, and how many times as fast ours is, with the quartiles of the rounds' own ratios. On a GPU
both run forward under bf16 autocast, on a CPU in float32 on two threads. Ours takes bytes and normalizes them
in the step; open_clip is given pictures that are normalized already.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import open_clip
import torch
from open_clip.loss import ClipLoss
from sensemble_train.data.clips import Clips
from sensemble_train.distributed import World
from sensemble_train.experiments.models import CLIP_B16, paper_model
from sensemble_train.experiments.openai_clip import CLIP_MEAN, CLIP_STD, initialize
from sensemble_train.models.model import Model
from sensemble_train.objectives.contrastive import MAX_SCALE, Contrastive
from sensemble_train.training.scale import ScaleConfig, distribute

THREADS, WARMUP = 2, 1


def shaped_like_clip() -> Model:
    """Our encoders of images and of captions as long as CLIP's, without stochastic depth, as there."""
    paper = paper_model(replace(CLIP_B16, frames=1), ("a", "b"), ("text", "video"))
    specs = {**paper.specs, "text": replace(paper.specs["text"], shape=(1, 77))}
    configs = {m: replace(config, drop_path=0.0) for m, config in paper.configs.items()}
    return Model(replace(paper, specs=specs, configs=configs), None)


def main(batch: int, rounds: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(THREADS)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    theirs = open_clip.create_model("ViT-B-16-quickgelu").to(device).train()
    model = shaped_like_clip()
    initialize(model, theirs.state_dict())
    ours, loss_of = Contrastive(model).train(), ClipLoss()
    scale = ScaleConfig(precision="bf16" if device.type == "cuda" else "fp32")
    module = distribute(ours, scale, World(0, 1, device))
    optimizers = [
        torch.optim.AdamW([p for p in m.parameters() if p.requires_grad], 1e-6) for m in (ours, theirs)
    ]
    pixels = torch.randint(0, 256, (batch, 1, 224, 224, 3), dtype=torch.uint8, device=device)
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    images = (pixels[:, 0].permute(0, 3, 1, 2) / 255 - mean) / std
    tokens = torch.randint(1, 49406, (batch, 77), device=device)
    tokens[:, 20], tokens[:, 21:] = 49407, 0
    present = torch.ones(batch, dtype=torch.bool, device=device)
    clips = Clips({"text": tokens, "video": pixels}, {"text": present, "video": present}, None)

    def our_step() -> float:
        optimizers[0].zero_grad()
        loss = ours.backward(module, [(clips,)], lambda _: None)
        optimizers[0].step()
        ours.after_step()
        return loss.item()

    def their_step() -> float:
        optimizers[1].zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            features = theirs(images, tokens)
        loss = loss_of(*features)
        loss.backward()
        optimizers[1].step()
        with torch.no_grad():
            theirs.logit_scale.clamp_(0, math.log(MAX_SCALE))
        return float(loss.item())

    seconds = interleaved([our_step, their_step], rounds)
    rate, reference = (batch / statistics.median(times) for times in seconds)
    low, middle, high = statistics.quantiles([b / a for a, b in zip(*seconds, strict=True)], n=4)
    kind = torch.cuda.get_device_name() if device.type == "cuda" else f"{THREADS} CPU threads"
    print(f"{kind}, batch {batch}, {rounds} rounds: {rate:.2f} samples/s, open_clip {reference:.2f}")
    print(f"{middle:.2f} x (quartiles {low:.2f} and {high:.2f})")


def interleaved(steps: list[Callable[[], float]], rounds: int) -> list[list[float]]:
    """Take every step in turn, after some that do not count and have to agree; return the seconds of each."""
    seconds: list[list[float]] = [[] for _ in steps]
    for turn in range(WARMUP + rounds):
        losses = [0.0] * len(steps)
        places = range(len(steps))
        for place in places if turn % 2 else reversed(places):
            start = time.perf_counter()
            losses[place] = steps[place]()
            seconds[place].append(time.perf_counter() - start)
        print(f"step {turn}: losses {losses}", flush=True)
        if turn == 0 and abs(losses[0] - losses[1]) > 0.01 * abs(losses[1]):
            raise SystemExit("the two do not compute the same loss")
    return [times[WARMUP:] for times in seconds]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    main(**vars(parser.parse_args()))
