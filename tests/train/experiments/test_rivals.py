"""The rivals of subset distillation, and WiSE-FT (Eq. 9), against their definitions."""

from pathlib import Path

import pytest
import torch
from sensemble_runtime.subsets import subsets
from sensemble_train.experiments.rivals import LabelledSubsets, labelled_subsets
from sensemble_train.recipe.methods import Start
from sensemble_train.training.loop import Loop
from torch.nn.functional import cross_entropy

from tests.train.recipe.test_methods import ALL, FEW, clips_of, same
from tests.train.tiny import STEM, tiny_model


@pytest.mark.parametrize("train", [("video",), ("audio", "text"), ALL], ids="+".join)
def test_labels_on_all_subsets_have_the_mean_loss_of_finetuning_on_each(train: tuple[str, ...]) -> None:
    model = tiny_model(STEM)
    clips = clips_of(model, 6).having(train)
    loss = LabelledSubsets(model, train).train()(clips)
    with torch.no_grad():
        logits = [model.classify({m: clips.inputs[m] for m in subset}) for subset in subsets(train)]
    expected = [cross_entropy(each, clips.targets) for each in logits]  # type: ignore[arg-type]
    torch.testing.assert_close(loss, torch.stack(expected).mean())


def test_modality_dropout_shows_each_example_with_one_subset() -> None:
    """The mean over many draws is the loss of all subsets; one draw is not."""
    model = tiny_model(STEM)
    clips = clips_of(model, 6)
    whole, drawn = (LabelledSubsets(model, ALL, drawn=each).train() for each in (False, True))
    torch.manual_seed(0)
    with torch.no_grad():
        losses = torch.stack([drawn(clips) for _ in range(300)])
        torch.testing.assert_close(losses.mean(), whole(clips), rtol=0.02, atol=0)
    assert losses.std() > 0.01


@pytest.mark.parametrize("drawn", [False, True])
def test_rivals_leave_what_has_no_labels_alone(tmp_path: Path, *, drawn: bool) -> None:
    model = tiny_model(STEM)
    start = Start(model, clips_of(model, 9), ("audio", "video"), FEW, Loop(tmp_path, 0))
    trained = labelled_subsets(start, drawn=drawn)
    assert same(trained.encoders["text"], model.encoders["text"])
    assert not same(trained.encoders["audio"], model.encoders["audio"])
