"""The rivals of subset distillation: all subsets on labels alone, and modality dropout."""

from pathlib import Path

import pytest
import torch
from sensemble_runtime.subsets import subsets
from sensemble_train.experiments.methods import LabelledSubsets, labelled_subsets
from sensemble_train.recipe.methods import Start
from sensemble_train.training.loop import Loop

from tests.train.recipe.test_methods import ALL, FEW, clips_of, same
from tests.train.tiny import STEM, tiny_model


@pytest.mark.parametrize("train", [("video",), ("audio", "text"), ALL], ids="+".join)
def test_subsets_on_labels_have_the_mean_loss_of_finetuning_on_each(train: tuple[str, ...]) -> None:
    model = tiny_model(STEM)
    clips = clips_of(model, 6).having(train)
    loss = LabelledSubsets(model, train).train()(clips)
    with torch.no_grad():
        logits = [model.classify({m: clips.inputs[m] for m in subset}) for subset in subsets(train)]
    expected = [torch.nn.functional.cross_entropy(each, clips.targets) for each in logits]  # type: ignore[arg-type]
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


def test_rivals_leave_what_has_no_labels_alone(tmp_path: Path) -> None:
    model = tiny_model(STEM)
    clips = clips_of(model, 9)
    for drawn in (False, True):
        loop = Loop(tmp_path / str(drawn), 0)
        trained = labelled_subsets(Start(model, clips, ("audio", "video"), FEW, loop), drawn=drawn)
        assert same(trained.encoders["text"], model.encoders["text"])
        assert not same(trained.encoders["audio"], model.encoders["audio"])
