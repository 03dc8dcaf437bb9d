"""The training loop does the same when it is killed, split into micro-batches, or shared among ranks."""

import copy
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sensemble_runtime.subsets import subsets
from sensemble_train.data.batching import BatchOrder
from sensemble_train.data.clips import Clips
from sensemble_train.distributed import alone
from sensemble_train.errors import CheckpointError, ConfigurationError, DivergedError
from sensemble_train.experiments.presets import audioset_contrastive
from sensemble_train.models.model import Model
from sensemble_train.models.transformer import Block
from sensemble_train.objectives.objective import MeanLoss
from sensemble_train.recipe.methods import Start, finetune, masd, pretrain
from sensemble_train.training import checkpoint
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization, optimizer
from sensemble_train.training.scale import ScaleConfig, distribute
from sensemble_train.training.step_log import StepLog
from torch import Tensor
from torch.fx import GraphModule
from torch.nn.modules.module import register_module_forward_pre_hook

from tests.losses import read_losses
from tests.train.ranks import STEPS, Job, train
from tests.train.tiny import CLIP, VIT, dark_and_bright, raw_inputs, tiny_model, write_index

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[3]
SAVING = {"save_every": 2}


def run(*jobs: dict[str, object], ranks: int = 1, kills: int | None = None) -> list[list[float]]:
    # On a free port: others may run these tests, too.
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [sys.executable, *(launcher if ranks > 1 else []), "-m", "tests.train.ranks", json.dumps(jobs)]
    seed = [] if kills is None else [str(kills)]
    done = subprocess.run([*command, *seed], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "deprecated" not in done.stderr
    losses: list[list[float]] = json.loads(done.stdout)
    return losses


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """The losses of one process that nothing happens to."""
    folder = tmp_path_factory.mktemp("reference")
    return {
        objective: train(Job(str(folder / objective), objective), alone())
        for objective in ("contrastive", "mae", "masd", "subset")
    }


@given(
    examples=st.integers(8, 40),
    batch=st.integers(2, 12).map(lambda quarter: 4 * quarter),
    seed=st.integers(0, 9),
    size=st.sampled_from([1, 2, 4]),
    step=st.integers(0, 30),
)
def test_ranks_share_the_batch_that_one_alone_would_take(
    examples: int, batch: int, seed: int, size: int, step: int
) -> None:
    shares = [BatchOrder(examples, batch, seed, rank, size).rows(step) for rank in range(size)]
    rows = [row for share in shares for row in share]
    assert len(rows) == len(set(rows)) == min(batch, examples) // size * size
    if min(batch, examples) % size == 0:
        assert rows == BatchOrder(examples, batch, seed).rows(step)
    one = BatchOrder(examples, batch, seed)
    epoch = [row for k in range(examples // one.share) for row in one.rows(k)]
    assert len(set(epoch)) == len(epoch)


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"10 .* 4 ranks"):
        BatchOrder(100, 10, 0, 0, 4)
    with pytest.raises(ConfigurationError, match=r"--scale\.micro-batch 3: 8 examples"):
        train(Job(str(tmp_path), scale={"micro_batch": 3}), alone())


def test_a_run_killed_at_random_moments_goes_on_with_the_same_losses_bit_for_bit(tmp_path: Path) -> None:
    """The last start finds a run at its end; what it prints is what those before left.

    Two of the runs are streamed by workers, with crops, mixup, SpecAugment and colours.
    """
    clips = tmp_path / "clips"
    clips.mkdir()
    write_index(clips, dark_and_bright(clips, pretrain=12, train=12, evaluation=0))
    sources = [
        ("contrastive", ""), ("mae", ""), ("masd", ""), ("subset", ""), ("masd", str(clips)),
        ("subset", str(clips)),
    ]  # fmt: skip
    given = {"scale": {"save_every": 1, "workers": 2}, "drop_path": 0.5}
    jobs = [
        {"folder": str(tmp_path / str(number)), "objective": objective, "data": source, **given}
        for number, (objective, source) in enumerate(sources)
    ]
    found = run(*jobs, kills=20260)
    # Those that nothing happened to:
    assert found == [read_losses(Path(f"{job['folder']}-timed")) for job in jobs]
    whole = Job(str(tmp_path / "whole"), "subset", drop_path=0.5)
    assert found[3] == train(whole, alone())


@pytest.mark.parametrize(
    ("objective", "scale"),
    [
        ("contrastive", {"micro_batch": 4, "checkpoint_activations": True}),
        ("mae", {"checkpoint_activations": True}),
        ("masd", {"micro_batch": 4, "checkpoint_activations": True}),
        ("subset", {"micro_batch": 4, "checkpoint_activations": True}),
    ],
)
def test_what_saves_memory_changes_no_loss(
    objective: str, scale: dict[str, object], reference: dict[str, list[float]], tmp_path: Path
) -> None:
    losses = train(Job(str(tmp_path), objective, scale), alone())
    assert losses == pytest.approx(reference[objective], abs=1e-5)


def test_a_compiled_block_is_the_same_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it recomputes; what torch's compiler then writes for g++, for half a minute, is torch's."""
    from torch._dynamo.utils import counters  # only here, for it loads the compiler

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    counters.clear()
    torch.manual_seed(0)
    block, x = Block(16, 2, "gelu"), torch.randn(8, 5, 16)
    scale = ScaleConfig(compile=True, checkpoint_activations=True)
    found = []
    for module in (block, distribute(copy.deepcopy(block), scale, alone())):
        y = module(x)
        y.square().sum().backward()
        found.append([y, *(p.grad for p in module.parameters())])
    torch.testing.assert_close(found[1], found[0])
    assert counters["stats"]["unique_graphs"] == 1


def test_every_call_of_a_block_is_compiled_under_the_papers_presets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve blocks a modality that drop paths, of CLIP's two shapes, in pretraining and then in all else."""
    called, ran = [], []

    def backend(graph: GraphModule, _inputs: list[Tensor]) -> Callable[..., object]:
        def run(*inputs: object) -> object:
            ran.append(1)
            return graph(*inputs)

        return run

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    config = audioset_contrastive("")
    shape = config.model
    plain = replace(CLIP, depth=shape.depth, drop_path=shape.drop_path)
    described = tiny_model(plain).description
    text = replace(plain, width=8, heads=1)
    description = replace(described, configs={**described.configs, "text": text})
    model = Model(description, tiny_model().tokenizer)
    clips = Clips({m: model.encoders[m].front(x) for m, x in raw_inputs(21).items()}, {}, None)  # type: ignore[operator]
    present = {m: torch.arange(21) % 7 != place for place, m in enumerate(clips.inputs)}
    clips = replace(clips, present=present, targets=torch.arange(21) % 3)
    scale = replace(config.scale, micro_batch=4, workers=0, checkpoint_activations=False)
    loops = (Loop(tmp_path / str(number), 0, scale) for number in count())
    hook = register_module_forward_pre_hook(
        lambda module, _inputs: called.append(1) if isinstance(module, Block) else None
    )
    try:
        pretrained = pretrain(model, clips, replace(config.pretrain, steps=2, batch=8), next(loops))
        for train in subsets(model.modalities):
            settings = replace(config.finetune, steps=1, batch=8)
            finetune(Start(pretrained, clips, train, settings, next(loops)))
            if len(train) < len(model.modalities):
                masd(Start(pretrained, clips, train, settings, next(loops)), clips)
    finally:
        hook.remove()
    assert len(ran) == len(called) > 500


def test_bfloat16_comes_close(reference: dict[str, list[float]], tmp_path: Path) -> None:
    losses = train(Job(str(tmp_path), scale={"precision": "bf16"}), alone())
    assert losses == pytest.approx(reference["contrastive"], rel=0.05)
    assert losses != reference["contrastive"]


def test_two_ranks_do_what_one_does_and_either_goes_on_where_the_other_stopped(
    reference: dict[str, list[float]], tmp_path: Path
) -> None:
    """A single launch for all tests, because starting ranks takes longer than their work.

    The ranks first hold our contrastive loss and its gradients to open_clip's (`openai_clip_ranks`).
    """

    def job(objective: str, micro_batch: int = 0, save_every: int = 0, *, shard: bool) -> dict[str, object]:
        scale = {"micro_batch": micro_batch, "save_every": save_every, "shard": shard}
        folder = str(tmp_path / f"{objective} {micro_batch} {save_every} {shard}")
        return {"folder": folder, "objective": objective, "scale": scale}

    whole: list[dict[str, object]] = []
    stopped: list[dict[str, object]] = []
    for shard in (False, True):
        whole += [job("masd", shard=shard), job("contrastive", shard=shard)]
        whole += [job("contrastive", 2, shard=shard), job("subset", 2, shard=shard)]
        alone_first, ranks_first = (job(one, save_every=2, shard=shard) for one in ("contrastive", "masd"))
        train(Job(**alone_first, stop=3), alone())  # type: ignore[arg-type]
        whole.append(alone_first)
        stopped.append(ranks_first)
    found = run(*whole, *({**one, "stop": 3} for one in stopped), ranks=2)
    for one, losses in zip(whole, found, strict=False):
        assert losses == pytest.approx(reference[str(one["objective"])], abs=1e-5), one
    for one, losses in zip(stopped, found[len(whole) :], strict=True):
        assert len(losses) == 3
        assert train(Job(**one), alone()) == pytest.approx(reference["masd"], abs=1e-5), one  # type: ignore[arg-type]


def test_a_log_that_goes_on_is_never_half_written(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_text("".join(json.dumps({"step": i, "loss": i}) + "\n" for i in range(5)))
    kept = tmp_path / "kept"
    kept.hardlink_to(path)  # what a kill at the worst moment would leave
    with StepLog(tmp_path, 3, 8, alone()):
        assert read_losses(tmp_path) == [0, 1, 2]
    assert len(kept.read_text().splitlines()) == 5


def test_steps_that_are_logged_together_are_equal(reference: dict[str, list[float]], tmp_path: Path) -> None:
    """They are written before a checkpoint too, which a run continues from."""
    for place, scale in enumerate(({"log_every": 3}, {"log_every": 100, "save_every": 2})):
        assert train(Job(str(tmp_path / str(place)), "masd", scale), alone()) == reference["masd"]
    stopped = Job(str(tmp_path / "stopped"), "masd", {"log_every": 100, "save_every": 2}, stop=3)
    assert train(stopped, alone()) == reference["masd"][:2]
    assert train(replace(stopped, stop=-1), alone()) == reference["masd"]


@pytest.mark.parametrize("log_every", [1, 100])
def test_a_loss_that_is_not_finite_ends_training(log_every: int, tmp_path: Path) -> None:
    class Diverging(MeanLoss):
        def forward(self, *batches: Clips) -> Tensor:
            values = torch.cat([p.flatten() for p in self.model.head.parameters()])
            return values.sum() * (math.nan if batches[0].targets.sum() == 28 else 1.0)  # type: ignore[union-attr]

    model = tiny_model(VIT)
    features = model.front(raw_inputs(24))
    present = dict.fromkeys(features, torch.ones(24, dtype=torch.bool))
    clips = Clips(features, present, torch.tensor([0] * 22 + [28, 0]))
    loop = Loop(tmp_path, 3, ScaleConfig(save_every=1, log_every=log_every))
    settings = Optimization(epochs=1, batch=8, learning_rate=0.1)
    with pytest.raises(DivergedError, match=r"step \d has a loss of nan") as caught:
        fit(Diverging(model), [clips], settings, loop)
    bad = int(str(caught.value).split("step ")[1][0])
    assert len(read_losses(tmp_path)) == bad - 1
    assert [path.name for path in (tmp_path / "checkpoints").glob("*")] == [f"step-{bad - 1}.safetensors"][
        : bad - 1
    ]


def test_a_checkpoint_that_cannot_be_written_ends_training_with_one_line(tmp_path: Path) -> None:
    saves = tmp_path / "checkpoints"
    saves.mkdir()
    (saves / "step-1.safetensors").mkdir()  # a file cannot replace a folder
    model = tiny_model(VIT)
    adamw = optimizer(model, Optimization(batch=2, learning_rate=0.1))
    with pytest.raises(CheckpointError, match="checkpoints: cannot be written"):
        checkpoint.save(saves, 1, model, adamw, alone())


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    train(Job(str(tmp_path), scale=SAVING), alone())
    file = tmp_path / "checkpoints" / f"step-{STEPS}.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=rf"step-{STEPS}\.safetensors: not a complete .*; "):
        train(Job(str(tmp_path), scale=SAVING), alone())
