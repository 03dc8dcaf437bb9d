"""Masked autoencoding of all modalities together (paper, Sec. 4.1, App. A, D and E; Figure 7, middle).

Each encoder reads those tokens of its modality that are not masked. The shared blocks, and a small decoder
after them, read the tokens of all modalities at once; the decoder reconstructs the masked ones (Gong et al.,
2022).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import MAEConfig
from sensemble_train.models.encoders import HIDE, ByModality, TokenEncoder
from sensemble_train.models.kinds.text import TextEncoder
from sensemble_train.models.model import Model, copied
from sensemble_train.models.transformer import Block, sinusoids
from sensemble_train.objectives.objective import MeanLoss
from sensemble_train.recipe.evaluate import BATCH
from sensemble_train.training.loop import Loop, fit
from sensemble_train.training.optim import Optimization


@dataclass(frozen=True, slots=True)
class View:
    """R masked views, each of K of the N tokens of one modality."""

    tokens: Tensor  # float32 [R, N, width], with their positions
    targets: Tensor  # what the tokens hold: ids int64 [R, N], or normalized patches float32 [R, N, size]
    exists: Tensor  # float32 [R, N]: 0 for padding and for examples that lack the modality, else 1
    kept: Tensor  # places of the tokens that the encoder reads, int64 [R, K]
    masked: Tensor  # places of the others, int64 [R, N - K]


class Ends(nn.Module):
    """The parts of the decoder that a modality has alone: fixed positions, a name, and the last layer."""

    def __init__(self, encoder: TokenEncoder, width: int) -> None:
        super().__init__()
        self.position = nn.Parameter(_positions(encoder.grid, width), requires_grad=False)
        self.name = nn.Parameter(0.02 * torch.randn(width))
        self.predict = nn.Linear(width, _size(encoder))


class MAE(MeanLoss):
    """The loss of reconstructing tokens masked at random, a mean over modalities; a guess costs 1.

    Raises:
        ConfigurationError: the encoders share no block, or read no plain patches.
    """

    def __init__(self, model: Model, config: MAEConfig) -> None:
        super().__init__(model)
        described = model.description
        configs = list(described.configs.values())
        if not described.shared or any(c.stem or c.clip or c.source for c in configs):
            raise ConfigurationError(
                "--objective mae: takes encoders from scratch that share blocks and read plain patches; "
                "take the experiment digits_mae, audioset_mae or kinetics_mae"
            )
        model.head.requires_grad_(requires_grad=False)
        self.config = config
        self.narrow = nn.Linear(configs[0].width, config.width)
        self.mask = nn.Parameter(0.02 * torch.randn(config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads, "gelu") for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.ends = ByModality({m: Ends(self.encoder(m), config.width) for m in model.modalities})

    def encoder(self, modality: str) -> TokenEncoder:
        """Return the encoder of a modality."""
        encoder = self.model.encoders[modality]
        assert isinstance(encoder, TokenEncoder)  # noqa: S101 - so models are built
        return encoder

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of a micro-batch, a scalar; modalities that an example lacks do not count."""
        (batch,) = batches
        views = {m: self.view(m, batch) for m in self.model.modalities}
        losses, counts = [], []
        for m, decoded in self._decode(self._encode(views), views).items():
            view = views[m]
            predicted = self.ends[m].predict(_at(decoded, view.masked))  # type: ignore[operator]
            loss = _losses(predicted, _at(view.targets, view.masked))
            weight = view.exists.gather(1, view.masked)  # selecting rows instead would wait for a GPU
            losses.append((loss * weight).sum() / weight.sum().clamp(min=1))
            counts.append(weight.any())
        return torch.stack(losses).sum() / torch.stack(counts).sum().clamp(min=1)

    def view(self, modality: str, batch: Clips) -> View:
        """Draw the masks of a modality, `repeats` for each example (App. E)."""
        encoder, features = self.encoder(modality), batch.inputs[modality]
        tokens, targets = _read(encoder, features)
        exists = batch.present[modality].float()[:, None].expand(tokens.shape[:2])
        if isinstance(encoder, TextEncoder):
            exists = exists * features.clamp(0, 1)
        rows = torch.arange(len(batch), device=tokens.device).repeat(self.config.repeats)
        order = torch.rand(exists[rows].shape, device=tokens.device).argsort(dim=1)
        kept = self.kept(modality)
        return View(tokens[rows], targets[rows], exists[rows], order[:, :kept], order[:, kept:])

    def kept(self, modality: str) -> int:
        """Return how many tokens are not masked: at least one, and not all of several."""
        count = math.prod(self.encoder(modality).grid)
        share: float = getattr(self.config, self.model.description.specs[modality].kind)
        return max(1, min(round(count * (1 - share)), count - 1))

    def _encode(self, views: Mapping[str, View]) -> Tensor:
        """Return the output of the shared blocks for all kept tokens, [R, K of all, width]."""
        shared = self.model.description.shared
        seen, exist = [], []
        for m, view in views.items():
            trunk, exists = self.encoder(m).trunk, view.exists.gather(1, view.kept)
            # An attention mask rules out the fastest kernels; absent examples are hidden later.
            bias = _hidden(exists) if isinstance(self.encoder(m), TextEncoder) else None
            seen.append(_through(trunk.blocks[:-shared], _at(view.tokens, view.kept), bias))
            exist.append(exists)
        bias = _hidden(torch.cat(exist, dim=1))
        return trunk.norm(_through(trunk.blocks[-shared:], torch.cat(seen, dim=1), bias))  # type: ignore[no-any-return]

    def _decode(self, latent: Tensor, views: Mapping[str, View]) -> dict[str, Tensor]:
        """Return the decoder's output for all tokens, modality -> [R, N, decoder width]."""
        parts = self.narrow(latent).split([view.kept.shape[1] for view in views.values()], dim=1)
        whole = []
        for (m, view), part in zip(views.items(), parts, strict=True):
            masks = self.mask.to(part.dtype).expand(*view.exists.shape, -1)
            filled = masks.scatter(1, view.kept[:, :, None].expand_as(part), part)
            ends = self.ends[m]
            whole.append(filled + ends.position + ends.name)  # type: ignore[operator]
        bias = _hidden(torch.cat([view.exists for view in views.values()], dim=1))
        decoded = self.norm(_through(self.blocks, torch.cat(whole, dim=1), bias))
        return dict(zip(views, decoded.split([x.shape[1] for x in whole], dim=1), strict=True))


def _through(blocks: Iterable[nn.Module], x: Tensor, bias: Tensor | None) -> Tensor:
    for block in blocks:
        x = block(x, bias)
    return x


def _size(encoder: TokenEncoder) -> int:
    """Return the number of predictions for a token: the logits of a vocabulary, or a patch's values."""
    return encoder.token.num_embeddings if isinstance(encoder, TextEncoder) else _patches(encoder).in_features


def _patches(encoder: TokenEncoder) -> nn.Linear:
    """Return the layer that reads an encoder's patches."""
    layer = encoder.get_submodule("stem.0.project")
    assert isinstance(layer, nn.Linear)  # noqa: S101 - plain patches
    return layer


def _read(encoder: TokenEncoder, features: Tensor) -> tuple[Tensor, Tensor]:
    """Return tokens [B, N, width] and what they hold; each patch is normalized (He et al., 2022)."""
    if isinstance(encoder, TextEncoder):
        return encoder.tokens(features), features
    read: list[Tensor] = []
    hook = _patches(encoder).register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    tokens = encoder.tokens(features)
    hook.remove()
    patches = read[0].reshape(*tokens.shape[:2], -1)
    return tokens, functional.layer_norm(patches, patches.shape[2:], eps=1e-6)


def _losses(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return squared errors of patches, or the cross entropy of ids over log(vocabulary), [R, K]."""
    if targets.dim() == 3:
        return (predicted - targets).square().mean(dim=2)
    entropy = functional.cross_entropy(predicted.transpose(1, 2), targets, reduction="none")
    return entropy / math.log(predicted.shape[2])


def _positions(grid: tuple[int, ...], width: int) -> Tensor:
    """Return the decoder's positions [1, N, width]; in space and time they are separable (App. D)."""
    if len(grid) < 3:
        return sinusoids(grid, width)[None]
    times, *places = grid
    return (sinusoids((times,), width)[:, None] + sinusoids(tuple(places), width)).flatten(0, 1)[None]


def _at(x: Tensor, places: Tensor) -> Tensor:
    """Return the rows of x [R, N] or [R, N, width] at `places`, int64 [R, K]."""
    return x.gather(1, places if x.dim() == 2 else places[:, :, None].expand(-1, -1, x.shape[2]))


def _hidden(exists: Tensor) -> Tensor:
    """Return the term [R, 1, 1, N] that hides absent tokens when added to attention scores."""
    return ((exists - 1) * -HIDE)[:, None, None]


def pretrain_masked(
    model: Model, unlabelled: ClipSource, settings: Optimization, config: MAEConfig, loop: Loop
) -> Model:
    """Return a copy of `model`, pretrained by masked autoencoding; raises as `fit` and `MAE`."""
    trained = fit(MAE(copied(model), config), [unlabelled], settings, loop)
    return with_statistics(trained, unlabelled, loop)


@torch.no_grad()
def with_statistics(model: Model, source: ClipSource, loop: Loop) -> Model:
    """Set the statistics of the BatchNorms before the embeddings, which the reconstruction does not pass.

    Without them, what all embeddings of a modality share outweighs the rest, and a modality more or less
    moves the pooled mean away from all that the head was trained on.
    """
    norms = {m: m.momentum for m in model.encoders.modules() if isinstance(m, nn.BatchNorm1d)}
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    model.to(loop.world.device)
    rows = torch.arange(len(source)).split(loop.scale.micro_batch or BATCH) if norms else ()
    for clips in source.load([each.tolist() for each in rows], loop.world.device, loop.scale.workers):
        for m, features in clips.inputs.items():
            if clips.present[m].sum() > 1:
                model.encoders[m].encode(features[clips.present[m]])  # type: ignore[operator]
    for norm, momentum in norms.items():
        norm.momentum = momentum
    return model.cpu().eval()
