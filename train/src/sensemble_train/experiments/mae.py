"""Masked autoencoding of all modalities together (paper, Sec. 4.1, App. A and D).

Each encoder reads the tokens of its modality that are not masked. The shared blocks, and a small decoder
after them, read the tokens of all modalities at once; the decoder reconstructs the masked ones (Gong et al.,
2022).
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sensemble_train.data.clips import Clips, Source
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import ExperimentPretrain, MAEConfig
from sensemble_train.models.encoders import HIDE, PatchEncoder, TokenEncoder
from sensemble_train.models.kinds.text import TextEncoder
from sensemble_train.models.model import Model
from sensemble_train.models.transformer import Block, sinusoids
from sensemble_train.objectives.objective import MeanLoss
from sensemble_train.recipe.evaluate import batches
from sensemble_train.training.loop import Loop, fit


class MAE(MeanLoss):
    """The reconstruction loss of tokens masked at random, averaged over modalities; a guess costs 1."""

    def __init__(self, model: Model, config: MAEConfig) -> None:
        super().__init__(model)
        configs = model.description.configs.values()
        if not model.description.shared or any(c.stem or c.clip for c in configs):
            raise ConfigurationError("MAE takes shared blocks, plain patches and no class token; see presets")
        model.head.requires_grad_(requires_grad=False)
        self.config = config
        width = next(iter(configs)).width
        self.embed = nn.Linear(width, config.width)
        self.mask = nn.Parameter(0.02 * torch.randn(config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads, "gelu") for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.modality, self.position, self.predict = nn.ParameterDict(), nn.ParameterDict(), nn.ModuleDict()
        for m in model.modalities:
            encoder = self._encoder(m)
            self.modality[m] = nn.Parameter(0.02 * torch.randn(config.width))
            self.position[m] = nn.Parameter(_positions(encoder.grid, config.width), requires_grad=False)
            self.predict[m] = nn.Linear(config.width, _size(encoder))

    def forward(self, *batches: Clips) -> Tensor:
        """Return the loss of a micro-batch, a scalar; modalities that an example lacks do not count."""
        (batch,) = batches
        rows = torch.arange(len(batch), device=self.mask.device).repeat(self.config.repeats)
        exists = {m: self._there(m, batch)[rows] for m in self.model.modalities}
        order = {m: torch.rand_like(x).argsort(dim=1) for m, x in exists.items()}
        kept = {m: places[:, : self._kept(m)] for m, places in order.items()}
        hides = any(self._encoder(m).pads or m not in batch.complete for m in kept)
        decoded = self._decode(self._encode(batch, rows, kept, exists, hides), kept, exists, hides)
        losses, counts = [], []
        for m, x in decoded.items():
            encoder, masked = self._encoder(m), order[m][:, self._kept(m) :]
            target = _targets(encoder, batch.inputs[m])[rows[:, None], masked].flatten(0, 1)
            loss = _losses(self.predict[m](_at(x, masked)).flatten(0, 1), target)
            # Masking avoids a GPU sync.
            weight = exists[m].gather(1, masked).flatten()
            losses.append((loss * weight).sum() / weight.sum().clamp(min=1))
            counts.append(weight.any())
        return torch.stack(losses).sum() / torch.stack(counts).sum().clamp(min=1)

    def _encoder(self, modality: str) -> TokenEncoder:
        encoder = self.model.encoders[modality]
        assert isinstance(encoder, TokenEncoder)  # noqa: S101 - so models are built
        return encoder

    def _kept(self, modality: str) -> int:
        """Return the number of unmasked tokens: at least one, and not all of several."""
        count = math.prod(self._encoder(modality).grid)
        share: float = getattr(self.config, modality)
        return max(1, min(round(count * (1 - share)), count - 1))

    def _there(self, modality: str, batch: Clips) -> Tensor:
        """Return float32 [B, N]: 0 for absent examples and for padding, else 1."""
        encoder, features = self._encoder(modality), batch.inputs[modality]
        present = batch.present[modality].float()[:, None]
        if encoder.pads:
            return present * features.clamp(0, 1)
        return present.repeat(1, math.prod(encoder.grid))

    def _encode(
        self,
        batch: Clips,
        rows: Tensor,
        kept: dict[str, Tensor],
        exists: dict[str, Tensor],
        hides: bool,
    ) -> Tensor:
        """Return the output of the shared blocks for all unmasked tokens, [rows, K, width].

        A mask rules out the fastest kernels of attention, so there is none where no token is padding. In the
        blocks of one modality, an example that lacks it needs none: its tokens are hidden later.
        """
        shared = self.model.description.shared
        xs, counts = [], []
        for m, places in kept.items():
            encoder, count = self._encoder(m), exists[m].gather(1, places)
            x = _at(encoder.tokens(batch.inputs[m])[rows], places)
            bias = _hidden(count) if encoder.pads else None
            for block in encoder.trunk.blocks[:-shared]:
                x = block(x, bias)
            xs.append(x)
            counts.append(count)
        x, bias = torch.cat(xs, dim=1), _hidden(torch.cat(counts, dim=1)) if hides else None
        for block in encoder.trunk.blocks[-shared:]:
            x = block(x, bias)
        return encoder.trunk.norm(x)  # type: ignore[no-any-return]

    def _decode(
        self,
        latent: Tensor,
        kept: dict[str, Tensor],
        exists: dict[str, Tensor],
        hides: bool,
    ) -> dict[str, Tensor]:
        """Return the decoder's output for all tokens, modality -> [rows, N, decoder width]."""
        parts = self.embed(latent).split([places.shape[1] for places in kept.values()], dim=1)
        xs = []
        for (m, places), part in zip(kept.items(), parts, strict=True):
            masked = self.mask.to(part.dtype).expand(*exists[m].shape, -1)
            whole = masked.scatter(1, places[:, :, None].expand_as(part), part)
            xs.append(whole + self.position[m] + self.modality[m])
        x, bias = torch.cat(xs, dim=1), _hidden(torch.cat(list(exists.values()), dim=1)) if hides else None
        for block in self.blocks:
            x = block(x, bias)
        return dict(zip(kept, self.norm(x).split([x.shape[1] for x in xs], dim=1), strict=True))


def _size(encoder: TokenEncoder) -> int:
    """Return the number of predictions for a token: a patch's values, or the logits of a vocabulary."""
    if isinstance(encoder, TextEncoder):
        return encoder.token.num_embeddings
    patches = encoder.get_submodule("stem.0.project")
    assert isinstance(patches, nn.Linear)  # noqa: S101 - plain patches
    return patches.in_features


def _targets(encoder: TokenEncoder, features: Tensor) -> Tensor:
    """Return token ids [B, N], or patches [B, N, size], each normalized (He et al., 2022)."""
    if not isinstance(encoder, PatchEncoder):
        return features
    patches = functional.unfold(encoder.images(features), encoder.patch, stride=encoder.patch).transpose(1, 2)
    patches = patches.reshape(len(features), -1, patches.shape[2])
    return functional.layer_norm(patches, patches.shape[2:], eps=1e-6)


def _losses(predicted: Tensor, targets: Tensor) -> Tensor:
    """Return squared errors of patches, or the cross entropy of ids over log(size), [n]; a guess costs 1."""
    if targets.dim() == 2:
        return functional.mse_loss(predicted, targets, reduction="none").mean(dim=1)
    return functional.cross_entropy(predicted, targets, reduction="none") / math.log(predicted.shape[1])


def _positions(grid: tuple[int, ...], width: int) -> Tensor:
    """Return fixed positions [1, N, width] for the decoder; in space and time they are separable (App. D)."""
    if len(grid) < 3:
        return sinusoids(grid, width)[None]
    times, *places = grid
    return (sinusoids((times,), width)[:, None] + sinusoids(tuple(places), width)).flatten(0, 1)[None]


def _at(x: Tensor, places: Tensor) -> Tensor:
    """Return the tokens of x [B, N, width] at `places`, int64 [B, K]: [B, K, width]."""
    return x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2]))


def _hidden(exists: Tensor) -> Tensor:
    """Return the term [B, 1, 1, N] that hides absent tokens when added to attention scores."""
    return ((exists - 1) * -HIDE)[:, None, None]


def pretrain_masked(model: Model, unlabelled: Source, config: ExperimentPretrain, loop: Loop) -> Model:
    """Return a copy of `model` with encoders pretrained by masked autoencoding; raises as `fit` and `MAE`."""
    trained = fit(MAE(copy.deepcopy(model), config.mae), [unlabelled], config, loop)
    return with_statistics(trained, unlabelled, loop)


@torch.no_grad()
def with_statistics(model: Model, source: Source, loop: Loop) -> Model:
    """Set the statistics of the BatchNorms before the embeddings, which MAE does not pass, from `source`.

    Without them, what all embeddings of a modality share outweighs the rest, and a modality more or less
    moves the pooled mean away from all that the head was trained on.
    """
    norms = {m: m.momentum for m in model.encoders.modules() if isinstance(m, nn.BatchNorm1d)}
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    model.to(loop.world.device)
    order = batches(source, loop) if norms else []
    for clips in source.load(order, loop.world.device, loop.scale.workers):
        for m, inputs in clips.inputs.items():
            rows = clips.present[m]
            if rows.sum() > 1:
                model.encoders[m].encode(inputs[rows])  # type: ignore[operator]
    for norm, momentum in norms.items():
        norm.momentum = momentum
    return model.cpu().eval()
