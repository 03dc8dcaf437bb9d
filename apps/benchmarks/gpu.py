"""The speed of a training step: samples a second, memory, and how much of the device's peak the model uses.

    uv run python apps/benchmarks/gpu.py [--batch 64] [--steps 20] [--no-compile]

takes steps of ViT-B/16 at the paper's sizes, as the training loop does (gradient, norm, AdamW): contrastive
pretraining of audio, text and video, and of images and text beside open_clip's own step with the same batch,
precision and weights, if open_clip is installed; finetuning; and subset distillation. It prints a table
in Markdown. On a GPU: bf16 autocast and compiled blocks. On a CPU it runs small (two narrow blocks, small
inputs, float32), which says that it runs, and nothing of a GPU.

Model FLOPs utilization (MFU) is the FLOPs of forward and backward, counted by torch without recomputation,
over the time and the peak of dense bfloat16 products (`PEAKS`); unknown devices have none.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from sensemble_train.data.clips import Clips
from sensemble_train.distributed import World
from sensemble_train.experiments.clip import CLIP_MEAN, CLIP_STD, initialize
from sensemble_train.experiments.models import CLIP_B16, VIT_B16, paper_model
from sensemble_train.models.model import Model
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.objectives.contrastive import MAX_SCALE, Contrastive
from sensemble_train.objectives.objective import Objective, Part
from sensemble_train.objectives.subset_distillation import SubsetDistillation
from sensemble_train.objectives.task import Task
from sensemble_train.training.optim import Optimization, optimizer
from sensemble_train.training.scale import ScaleConfig, distribute
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

PEAKS = {"H100": 989.4e12, "H200": 989.4e12, "A100": 312e12, "L40S": 362e12, "4090": 165.2e12}
"""Dense bfloat16 FLOPs a second, from NVIDIA's data sheets (SXM where there are several)."""
WARMUP = 3
SETTINGS = Optimization(batch=2, learning_rate=1e-6, clip=1.0)
AVT = ("audio", "text", "video")


@dataclass(frozen=True)
class Setting:
    """The settings of all steps."""

    device: torch.device
    scale: ScaleConfig
    batch: int
    steps: int

    @property
    def small(self) -> bool:
        return self.device.type == "cpu"

    def shape(self, paper: ModelConfig) -> ModelConfig:
        """Return the paper's sizes or, on a CPU, much smaller ones."""
        if not self.small:
            return paper
        narrow = replace(paper, width=64, embedding=64, depth=2, heads=4, text_heads=4, vocabulary=512)
        return replace(narrow, frames=2, side=64, seconds=1.0, drop_path=0.0)


@dataclass(frozen=True)
class Measured:
    """A row of the table."""

    name: str
    rate: float
    memory: float
    flops: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--no-compile", action="store_true")
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available()
    scale = ScaleConfig(precision="bf16" if cuda else "fp32", compile=cuda and not arguments.no_compile)
    setting = Setting(
        torch.device("cuda" if cuda else "cpu"),
        scale,
        arguments.batch or (64 if cuda else 2),
        arguments.steps or (20 if cuda else 2),
    )
    device = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    peak = next((value for known, value in PEAKS.items() if known in device), None)
    lines = ["| step | samples/s | memory, GiB | MFU, % |", "| --- | --- | --- | --- |"]
    for measured in rows(setting):
        share = f"{100 * measured.flops * measured.rate / peak:.1f}" if peak else ""
        memory = f"{measured.memory:.1f}" if cuda else ""
        lines.append(f"| {measured.name} | {measured.rate:.2f} | {memory} | {share} |")
        print(f"{measured.name}: {measured.rate:.2f} samples/s", flush=True)
    precision = f"{scale.precision}, {'compiled' if scale.compile else 'eager'}"
    print(
        f"\n{device}; torch {torch.__version__}; {precision}; batch {setting.batch}, {setting.steps} steps\n"
    )
    print("\n".join(lines))
    if not peak:
        print("\nNo MFU: the peak of this device is not in `PEAKS`.")


def rows(setting: Setting) -> Iterator[Measured]:
    """Measure each step, on a new model: blocks that are compiled twice would be no fair ones."""

    def contrastive() -> Model:
        return model_of(AVT, setting.shape(VIT_B16))

    def tuned() -> Model:
        return model_of(AVT, setting.shape(CLIP_B16))

    clips = clips_of(contrastive(), setting)
    yield measure("contrastive AVT", Contrastive(contrastive()), [clips], setting)
    yield from image_text(setting)
    clips = clips_of(tuned(), setting)
    labelled = replace(clips, targets=torch.rand(len(clips), 527, device=setting.device).round())
    yield measure("finetuning AVT", Task(tuned(), AVT), [labelled], setting)
    distilling = SubsetDistillation(tuned(), ("video",), 0.5)
    yield measure("subset distillation, M_T = V", distilling, [labelled, labelled], setting)


def model_of(modalities: tuple[str, ...], shape: ModelConfig) -> Model:
    torch.manual_seed(0)
    labels = tuple(map(str, range(527)))
    return Model(paper_model(shape, labels, modalities), None)


def clips_of(model: Model, setting: Setting) -> Clips:
    """Random features on the device, as after the front ends."""
    torch.manual_seed(0)
    raw: dict[str, Tensor] = {}
    for m, spec in model.description.specs.items():
        size = (setting.batch, *spec.shape[1:])
        if spec.dtype == "int64":
            raw[m] = torch.randint(1, model.description.configs[m].vocabulary, size)
            raw[m][:, size[1] // 2 :] = 0
        elif spec.dtype == "uint8":
            raw[m] = torch.randint(0, 256, size, dtype=torch.uint8)
        else:
            raw[m] = torch.rand(size) - 0.5
    present = {m: torch.ones(setting.batch, dtype=torch.bool) for m in raw}
    return Clips(model.front(raw), present, None).to(setting.device)


def measure(name: str, objective: Objective, batches: list[Clips], setting: Setting) -> Measured:
    """Take steps of an objective; samples are those of the first batch."""
    part: Part = tuple(batches)
    objective.to(setting.device).train()
    two = tuple(clips.take(torch.arange(2, device=setting.device)) for clips in batches)
    flops = flops_of(lambda: objective.backward(objective, [two], lambda _: None)) / 2
    module = distribute(objective, setting.scale, World(0, 1, setting.device))
    learning = [p for p in objective.parameters() if p.requires_grad]
    adamw = optimizer(objective, SETTINGS)

    def step() -> Tensor:
        adamw.zero_grad()
        loss = objective.backward(module, [part], lambda _: None)
        nn.utils.clip_grad_norm_(learning, SETTINGS.clip)
        adamw.step()
        objective.after_step()
        return loss

    rate, memory = timed(step, setting)
    return Measured(name, rate, memory, flops)


def timed(step: Callable[[], Tensor], setting: Setting) -> tuple[float, float]:
    """Return samples a second, by the median step, and the peak of memory in GiB."""
    cuda = setting.device.type == "cuda"
    for _ in range(WARMUP if cuda else 1):
        loss = step()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(setting.steps):
        if cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        loss = step()
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    if not math.isfinite(float(loss)):
        raise SystemExit("the loss is not finite")
    memory = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0
    return setting.batch / statistics.median(seconds), memory


def flops_of(step: Callable[[], object]) -> float:
    """Count the FLOPs of one call, of few examples and before anything is compiled."""
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def image_text(setting: Setting) -> Iterator[Measured]:
    """Images and captions: ours, then open_clip's own step with the same batch, precision and weights."""
    try:
        import open_clip
        from open_clip.loss import ClipLoss
    except ImportError:
        print("open_clip is not installed: no step beside its own")
        return
    if setting.small:  # `contrastive_step.py` compares them on a CPU, at full size
        return
    device = setting.device
    theirs = open_clip.create_model("ViT-B-16-quickgelu").to(device).train()
    paper = paper_model(replace(CLIP_B16, frames=1, drop_path=0.0), ("a", "b"), ("text", "video"))
    specs = {**paper.specs, "text": replace(paper.specs["text"], shape=(1, 77))}
    model = Model(replace(paper, specs=specs), None)
    initialize(model, theirs.state_dict())
    pixels = torch.randint(0, 256, (setting.batch, 1, 224, 224, 3), dtype=torch.uint8, device=device)
    tokens = torch.randint(1, 49406, (setting.batch, 77), device=device)
    tokens[:, 20], tokens[:, 21:] = 49407, 0
    present = {m: torch.ones(setting.batch, dtype=torch.bool) for m in ("text", "video")}
    clips = Clips({"text": tokens, "video": pixels}, present, None).to(device)
    ours = measure("contrastive, images and text", Contrastive(model), [clips], setting)
    yield ours
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    images = (pixels[:, 0].permute(0, 3, 1, 2) / 255 - mean) / std
    loss_of = ClipLoss()
    if setting.scale.compile:
        theirs.compile()
    adamw = optimizer(theirs, SETTINGS)

    def step() -> Tensor:
        adamw.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            features = theirs(images, tokens)
        loss: Tensor = loss_of(*features)
        loss.backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), SETTINGS.clip)
        adamw.step()
        with torch.no_grad():
            theirs.logit_scale.clamp_(0, math.log(MAX_SCALE))
        return loss

    rate, memory = timed(step, setting)
    yield Measured("open_clip, images and text", rate, memory, ours.flops)


if __name__ == "__main__":
    main()
