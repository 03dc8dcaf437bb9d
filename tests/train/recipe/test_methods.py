"""Probe, finetuning, MASD and WiSE-FT: formulas, limits and an outside classifier."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit, log_softmax, softmax
from sensemble_train.data.clips import Clips
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.matrix import wiseft
from sensemble_train.models.model import Head, Model
from sensemble_train.models.places import LEARNED, SIZES
from sensemble_train.objectives.task import self_distillation_loss
from sensemble_train.recipe.embedding_lengths import balanced
from sensemble_train.recipe.evaluate import embed, evaluate
from sensemble_train.recipe.methods import (
    FinetuneConfig,
    PretrainConfig,
    ProbeConfig,
    Start,
    finetune,
    linear_probe,
    masd,
    pretrain,
)
from sensemble_train.recipe.picture_sizes import sized
from sensemble_train.training.loop import Loop
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.losses import read_losses
from tests.train.tiny import STEM, raw_inputs, tiny_model

ALL = ("audio", "text", "video")
FEW = FinetuneConfig(steps=3, batch=4)


def clips_of(model: Model, count: int, seed: int = 0, absent: Sequence[tuple[str, int]] = ()) -> Clips:
    raw = raw_inputs(count, seed)
    features = {m: model.encoders[m].front(x).detach() for m, x in raw.items()}  # type: ignore[operator]
    present = {m: torch.ones(count, dtype=torch.bool) for m in features}
    for modality, row in absent:
        present[modality][row] = False
    return Clips(features, present, torch.arange(count) % 3)


def tuned(train: tuple[str, ...], extra: Clips | None, seed: int = 0) -> Model:
    model = tiny_model(STEM)
    with TemporaryDirectory() as folder:
        start = Start(model, clips_of(model, 9), train, FEW, Loop(Path(folder), seed))
        return finetune(start) if extra is None else masd(start, extra)


def same(a: nn.Module, b: nn.Module) -> bool:
    other = b.state_dict()
    return all(torch.equal(value, other[name]) for name, value in a.state_dict().items())


@settings(max_examples=25)
@given(size=st.integers(1, 8), classes=st.integers(1, 5), seed=st.integers(0, 999))
def test_a_folded_norm_gives_the_same_logits(size: int, classes: int, seed: int) -> None:
    torch.manual_seed(seed)
    head = Head(size, classes)
    for _ in range(3):
        head(3 * torch.randn(20, size) + torch.randn(size))
    head.eval()
    x = torch.randn(7, size)
    torch.testing.assert_close(head.folded()(x), head(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("train", [("video",), ("audio", "text")])
def test_the_probe_is_as_good_as_logistic_regression(train: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    centres = rng.normal(0, 1, (3, 8))
    embeddings = {m: (centres[classes] + rng.normal(0, 0.1, (60, 8))).astype(np.float32) for m in ALL}
    model = tiny_model()
    there = {m: torch.ones(60, dtype=torch.bool) for m in ALL}
    tensors = {m: torch.from_numpy(x) for m, x in embeddings.items()}
    embedded = Clips(tensors, there, torch.from_numpy(classes))
    probed = linear_probe(model, embedded, train, ProbeConfig())
    pooled = np.mean([embeddings[m] for m in train], axis=0)
    guesses = probed.head(torch.from_numpy(pooled)).argmax(dim=1).numpy()
    reference = LogisticRegression(max_iter=1000).fit(pooled, classes).score(pooled, classes)
    assert (guesses == classes).mean() >= reference == 1.0
    assert same(probed.encoders, model.encoders)


def test_a_temperature_makes_the_probe_less_sure_and_changes_none_of_its_answers() -> None:
    draw = torch.Generator().manual_seed(0)
    classes = torch.arange(60) % 3
    embedded = Clips(
        {"video": torch.randn(60, 8, generator=draw)}, {"video": torch.ones(60, dtype=torch.bool)}, classes
    )
    sharp, soft = (
        linear_probe(tiny_model(), embedded, ("video",), ProbeConfig(temperature=t)).head(
            embedded.inputs["video"]
        )
        for t in (1.0, 5.0)
    )
    torch.testing.assert_close(soft, sharp / 5)


@settings(max_examples=30)
@given(rows=st.integers(1, 5), classes=st.integers(2, 6), multi=st.booleans(), seed=st.integers(0, 999))
def test_self_distillation_is_the_papers_formula(rows: int, classes: int, multi: bool, seed: int) -> None:
    torch.manual_seed(seed)
    student = (3 * torch.randn(rows, classes, dtype=torch.float64)).requires_grad_()
    teacher = (3 * torch.randn(rows, classes, dtype=torch.float64)).requires_grad_()
    task = "multi-label" if multi else "multi-class"
    loss = self_distillation_loss(student, teacher, task)
    s, t = student.detach().numpy(), teacher.detach().numpy()
    if multi:
        expected = -(expit(t) * log_expit(s) + expit(-t) * log_expit(-s)).mean()
    else:
        expected = -(softmax(t, axis=1) * log_softmax(s, axis=1)).sum(axis=1).mean()
    assert loss.item() == pytest.approx(expected, abs=1e-9)
    loss.backward()
    assert teacher.grad is None
    assert student.grad is not None
    equal = teacher.detach().clone().requires_grad_()
    least = self_distillation_loss(equal, teacher, task)
    assert least.item() <= loss.item() + 1e-12
    least.backward()
    assert equal.grad is not None
    assert equal.grad.abs().max() < 1e-9


def test_the_probe_reads_embeddings_that_hardly_differ_through_its_norm() -> None:
    """The classes differ by a hundredth of what all embeddings share, as in a masked autoencoder's."""
    draw = torch.Generator().manual_seed(0)
    classes = torch.arange(60) % 3
    centres = torch.randn(3, 8, generator=draw)
    shared = torch.nn.functional.normalize(torch.ones(8), dim=0)
    embeddings = shared + 0.01 * (centres[classes] + 0.1 * torch.randn(60, 8, generator=draw))
    model = tiny_model()
    embedded = Clips({"video": embeddings}, {"video": torch.ones(60, dtype=torch.bool)}, classes)
    probed = linear_probe(model, embedded, ("video",), ProbeConfig(temperature=1.0))
    probabilities = probed.head(embeddings).softmax(dim=1)
    assert probabilities[torch.arange(60), classes].min() > 0.9


def test_the_head_learns_at_the_rates_of_finetuning(tmp_path: Path) -> None:
    """Its weights are large where the numbers of an embedding are small, and AdamW's steps are not."""
    model = tiny_model(STEM)
    clips, loop = clips_of(model, 60), Loop(tmp_path, 0)
    embedded = embed(clips, loop, model)[0]
    probed = linear_probe(model, embedded, ("video",), ProbeConfig())
    trained = finetune(Start(probed, clips, ("video",), FinetuneConfig(steps=60), loop))
    before, after = (tuned.head.folded().weight for tuned in (probed, trained))
    assert (after - before).norm() > 0.01 * before.norm()
    assert same(probed.head.norm, trained.head.norm)


def test_probe_and_finetuning_take_each_step_at_its_rate(tmp_path: Path) -> None:
    """Up to the highest, and down again."""
    model, taken = tiny_model(STEM), []
    clips, loop = clips_of(model, 9), Loop(tmp_path, 0)
    embedded = embed(clips, loop, model)[0]
    probing, tuning = ProbeConfig(steps=9, warmup=3), replace(FEW, steps=9, warmup=3)
    hook = register_optimizer_step_pre_hook(
        lambda adamw, *_: taken.append([group["lr"] for group in adamw.param_groups])
    )
    try:
        probed = linear_probe(model, embedded, ("video",), probing)
        finetune(Start(probed, clips, ("video",), tuning, loop))
    finally:
        hook.remove()
    assert taken == [[config.rate(step, 9)] for config in (probing, tuning) for step in range(9)]
    assert taken[0] < taken[2] > taken[8]


def test_finetuning_leaves_the_stems_statistics_alone(tmp_path: Path) -> None:
    """They are of all modalities' pretraining; gains and biases learn."""
    probed = tiny_model(STEM)
    trained = finetune(Start(probed, clips_of(probed, 9), ("audio", "video"), FEW, Loop(tmp_path, 0)))
    norms = [name for name, module in probed.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    for name in norms:
        before, after = probed.get_submodule(name), trained.get_submodule(name)
        for (key, old), new in zip(before.named_buffers(), after.buffers(), strict=True):
            assert torch.equal(old, new), f"{name}.{key}"
        assert not torch.equal(before.weight, after.weight)


@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0])
def test_wiseft_lies_between_probe_and_trained(alpha: float) -> None:
    probed, trained = tiny_model(STEM), tuned(("video",), None)
    with torch.no_grad():
        for name, value in trained.named_buffers():
            if name.endswith("running_mean"):
                value.add_(1.0)
    merged = wiseft(trained, probed, alpha).state_dict()
    start, end = probed.state_dict(), trained.state_dict()
    assert any(name.endswith("running_mean") for name in merged)
    for name, value in merged.items():
        if value.is_floating_point():
            expected = alpha * end[name].double() + (1 - alpha) * start[name].double()
            torch.testing.assert_close(value.double(), expected, atol=1e-6, rtol=1e-6)
    if alpha in {0.0, 1.0}:
        raw = raw_inputs(3)
        torch.testing.assert_close(wiseft(trained, probed, alpha)(raw), (probed, trained)[int(alpha)](raw))


def test_masd_uses_only_unlabelled_examples_that_have_everything() -> None:
    model = tiny_model(STEM)
    whole = clips_of(model, 6, seed=1)
    more = clips_of(model, 8, seed=1, absent=[("audio", 6), ("video", 7)])
    more = Clips(
        {m: torch.cat([x, more.inputs[m][6:]]) for m, x in whole.inputs.items()}, more.present, more.targets
    )
    assert same(tuned(("video",), more), tuned(("video",), whole))


def test_finetuning_is_determined_by_its_seed_and_leaves_the_probe_alone() -> None:
    probed = tiny_model(STEM)
    before = copy.deepcopy(probed)
    torch.manual_seed(1)
    first = tuned(("audio", "video"), None)
    torch.manual_seed(2)
    assert same(first, tuned(("audio", "video"), None))
    assert not same(first, tuned(("audio", "video"), None, seed=1))
    assert same(before, probed)
    assert same(first.encoders["text"], probed.encoders["text"])
    assert not same(first.encoders["audio"], probed.encoders["audio"])


def test_pretraining_lowers_the_loss_and_sees_nothing_of_absent_rows(tmp_path: Path) -> None:
    def pretrained(filling: float) -> tuple[list[float], dict[str, Tensor]]:
        model = tiny_model(STEM)
        clips = clips_of(model, 12, absent=[("audio", 1), ("audio", 5), ("video", 2)])
        for m in ("audio", "video"):
            clips.inputs[m][~clips.present[m]] = filling  # type: ignore[assignment]
        folder = tmp_path / str(filling)
        trained = pretrain(model, clips, PretrainConfig(steps=12, batch=12), Loop(folder, 0))
        return read_losses(folder), trained.state_dict()

    losses, weights = pretrained(0)
    assert losses[-1] < losses[0]
    again, other = pretrained(9)
    assert again == losses
    assert all(torch.equal(value, other[name]) for name, value in weights.items())


@pytest.mark.parametrize(("count", "batch"), [(1, 4), (0, 4), (9, 1)])
def test_too_few_examples_for_a_batch_are_refused(count: int, batch: int, tmp_path: Path) -> None:
    model = tiny_model(STEM)
    clips, config = clips_of(model, 9), replace(FEW, batch=batch)
    with pytest.raises(ConfigurationError, match="two at least"):
        finetune(Start(model, clips.take(torch.arange(count)), ("video",), config, Loop(tmp_path, 0)))


@pytest.mark.parametrize("multi", [False, True], ids=["multi-class", "multi-label"])
def test_the_less_a_modality_knows_the_less_it_counts(multi: bool, tmp_path: Path) -> None:
    model, loop = tiny_model(STEM, multi=multi), Loop(tmp_path, 0)
    clips = clips_of(model, 60)
    with torch.no_grad():
        model.head.linear.weight.mul_(30)
        logits = model.classify({"video": clips.inputs["video"]})
    clips = replace(clips, targets=(logits > logits.median()).float() if multi else logits.argmax(dim=1))
    found = balanced(model, clips, loop)
    lengths = {m: found.embed({m: clips.inputs[m]})[m].norm(dim=1) for m in ALL}
    for m in ALL:
        torch.testing.assert_close(lengths[m], torch.full((60,), found.description.configs[m].length))
        turned = found.embed({m: clips.inputs[m]})[m] / lengths[m][:, None]
        torch.testing.assert_close(turned, model.embed({m: clips.inputs[m]})[m])
    assert max(lengths["audio"].max(), lengths["text"].max()) < 0.5 * lengths["video"].min()
    before, after = (evaluate(each, embed(clips, loop, each)[0]) for each in (model, found))
    assert after["audio+text+video"] > before["audio+text+video"]
    assert after["audio+video"] >= before["audio+video"]


def test_too_few_examples_balance_nothing(tmp_path: Path) -> None:
    model = tiny_model(STEM)
    assert balanced(model, clips_of(model, 9), Loop(tmp_path, 0)) is model


@pytest.mark.parametrize("sizes", [LEARNED, SIZES])
def test_pictures_are_read_at_the_sizes_that_make_labels_likelier(
    sizes: tuple[float, ...], tmp_path: Path
) -> None:
    model, true = (tiny_model(replace(STEM, sizes=own), multi=True) for own in (LEARNED, sizes))
    clips, loop = clips_of(model, 60), Loop(tmp_path, 0)
    pictures = {"video": clips.inputs["video"]}
    with torch.no_grad():
        answers = true.classify(pictures)
        found = sized(model, replace(clips, targets=answers.sigmoid()), loop)  # none is likelier than `true`
        torch.testing.assert_close(found.classify(pictures), answers)
    assert found.description.configs["video"].sizes == sizes
    assert sized(model, clips.take(torch.arange(9)), loop) is model
