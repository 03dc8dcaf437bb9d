"""EfficientNet-Lite0 is timm's, weight for weight."""

import pytest
import torch
from sensemble_sensors.spec import InputSpec
from sensemble_train.models.pretrained.efficientnet import EfficientNet
from sensemble_train.models.pretrained.sources import load


@pytest.fixture
def theirs() -> torch.nn.Module:
    import timm  # only here: each worker reads this file, and timm takes 3 s

    torch.manual_seed(0)
    return timm.create_model("tf_efficientnet_lite0").eval()


def timm_features(model: torch.nn.Module, frames: torch.Tensor) -> torch.Tensor:
    images = (frames.flatten(0, 1).permute(0, 3, 1, 2).float() - 127) / 128
    features: torch.Tensor = model.forward_head(model.forward_features(images), pre_logits=True)  # type: ignore[operator]
    return features.unflatten(0, frames.shape[:2]).mean(dim=1)


@torch.no_grad()
def test_it_computes_what_timm_s_does(theirs: torch.nn.Module) -> None:
    frames = torch.randint(0, 256, (2, 3, 64, 64, 3), dtype=torch.uint8)
    ours = EfficientNet(theirs.state_dict()).eval()
    torch.testing.assert_close(ours(frames), timm_features(theirs, frames))


@torch.no_grad()
def test_the_installed_weights_are_in_timm_s_order(theirs: torch.nn.Module) -> None:
    """A real edge detector and classifier come out of them, not noise: activations are sparse and bounded."""
    spec = InputSpec("video", "uint8", (1, 1, 224, 224, 3), 1.0, 1.0, 1.0, 1.0)
    ours = load("efficientnet-lite0", spec)
    state = ours.state_dict()
    theirs.load_state_dict(
        dict(
            zip(theirs.state_dict(), [*state.values(), *list(theirs.state_dict().values())[-2:]], strict=True)
        )
    )
    frames = torch.randint(0, 256, (1, 1, 224, 224, 3), dtype=torch.uint8)
    torch.testing.assert_close(ours(frames), timm_features(theirs, frames))
