"""The teacher of subset distillation: its answers on clean examples, in memory and streamed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sensemble_sensors.media.dataset import read_dataset
from sensemble_sensors.media.decoding import PLAIN
from sensemble_train.data.clips import Clips, decode
from sensemble_train.distributed import alone
from sensemble_train.experiments.streamed import Streamed
from sensemble_train.models.augment_config import PAPER
from sensemble_train.models.infer_spec import describe
from sensemble_train.models.model import Model
from sensemble_train.recipe import methods
from sensemble_train.recipe.fusion import teach
from sensemble_train.recipe.methods import FinetuneConfig, Start, distill_subsets
from sensemble_train.training.loop import Loop
from sensemble_train.training.scale import ScaleConfig

from tests.losses import read_losses
from tests.train.recipe.test_methods import clips_of
from tests.train.tiny import STEM, dark_and_bright, tiny_model, write_index


@pytest.mark.parametrize("multi", [False, True], ids=["multi-class", "multi-label"])
def test_its_targets_are_its_probabilities_of_every_example(multi: bool, tmp_path: Path) -> None:
    teacher = tiny_model(STEM, multi=multi)
    clips = clips_of(teacher, 9)
    taught = teach(teacher.train(), clips, Loop(tmp_path, 0))
    with torch.no_grad():
        logits = teacher.eval().classify(clips.inputs)
    assert taught.targets is not None
    torch.testing.assert_close(taught.targets, logits.sigmoid() if multi else logits.softmax(dim=1))
    assert taught.targets.requires_grad is False


def test_of_streamed_examples_it_says_the_same_batch_by_batch(tmp_path: Path) -> None:
    """Windows are as long as the clips here, so that those drawn at random are all of them."""
    dataset = read_dataset(write_index(tmp_path, dark_and_bright(tmp_path)))
    described = describe(dataset)
    teacher = Model(described, tiny_model().tokenizer).eval()
    examples = [example for example in dataset.split("pretrain") if len(example.modalities) == 3]
    whole = decode(examples, described.specs, teacher.tokenizer, (), "multi-class", lambda *_: None)
    clips = replace(whole, inputs=teacher.front(whole.inputs))
    raw = Streamed(examples, described, teacher.tokenizer, PLAIN, 0, skip_bad=False)
    streamed = raw.mapped(lambda seen: replace(seen, inputs=teacher.front(seen.inputs)))
    rows = [[3, 0, 1, 4], [2, 5]]
    for loop in (Loop(tmp_path, 0), Loop(tmp_path, 0, ScaleConfig(micro_batch=2))):
        taught = teach(teacher, streamed, loop)
        kept = teach(teacher, clips, loop)
        assert isinstance(taught, Streamed)
        assert len(taught) == len(kept) == 6
        batches = (source.load(rows, alone().device, 0) for source in (taught, kept))
        for ours, theirs in zip(*batches, strict=True):
            assert ours.targets is not None
            torch.testing.assert_close(ours.targets, theirs.targets)
            torch.testing.assert_close(ours.inputs, theirs.inputs)


def test_the_student_is_augmented_and_not_the_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is mixed, for captions are not: alone, they would be taught another example's label."""
    probed = tiny_model(STEM)
    seen: list[tuple[Clips, ...]] = []

    class Watched(methods.SubsetDistillation):
        def forward(self, *batches: Clips) -> torch.Tensor:
            seen.append(batches)
            return super().forward(*batches)

    monkeypatch.setattr(methods, "SubsetDistillation", Watched)
    clips, config = clips_of(probed, 8), FinetuneConfig(steps=2, batch=8)
    loop = Loop(tmp_path, 0, augment=replace(PAPER, mixup=1.0, time=4, bins=20))
    distill_subsets(Start(probed, clips, ("video",), config, loop), clips, probed)
    taught = teach(probed, clips, loop)
    assert taught.targets is not None
    assert len(read_losses(tmp_path)) == len(seen) == 2
    for labelled, unlabelled in seen:
        assert labelled.targets is not None
        assert not labelled.targets.is_floating_point()
        assert unlabelled.targets is not None
        order = torch.cdist(unlabelled.targets, taught.targets).argmin(dim=1)
        assert sorted(order.tolist()) == list(range(8))
        torch.testing.assert_close(unlabelled.targets, taught.targets[order])
        assert not torch.equal(unlabelled.inputs["audio"], clips.inputs["audio"][order])
        assert torch.equal(unlabelled.inputs["text"], clips.inputs["text"][order])
