"""Text: token ids of captions."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn

from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import HIDE, EncoderConfig, TokenEncoder, Trunk, positions
from sensemble_train.models.kinds.backgrounds import captions
from sensemble_train.models.kinds.kind import Kind
from sensemble_train.models.kinds.text_augment import change_captions
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained.sources import TOKENS, tokenizer


class Text(Kind):
    """Captions: int64 [B, L] token ids, 0 for padding."""

    name = "text"

    def fit(
        self, shape: ModelConfig, modality: Modality, examples: Sequence[Example], source: str
    ) -> ModelConfig:
        """Return the length and the vocabulary of the source's own tokenizer, if it has one."""
        del modality, examples
        own = tokenizer(source, TOKENS)
        return replace(shape, tokens=TOKENS, vocabulary=own.get_vocab_size()) if own else shape

    def spec(self, modality: Modality, shape: ModelConfig, hop: float) -> InputSpec:
        """Return int64 [1, L]; a caption is its own window."""
        del hop
        return InputSpec(modality.name, "int64", (1, shape.tokens), 0, 0, 0, 2 * shape.seconds, modality.kind)

    def encoder_config(self, base: EncoderConfig, spec: InputSpec, shape: ModelConfig) -> EncoderConfig:
        """Return heads as wide as those of `base`, as many as `shape` says, a vocabulary and no stem."""
        del spec
        width = base.width // base.heads * shape.text_heads
        return replace(
            base, width=width, heads=shape.text_heads, vocabulary=shape.vocabulary, stem=(), patch=16
        )

    def encoder(self, spec: InputSpec, config: EncoderConfig) -> "TextEncoder":
        """See `Kind`."""
        return TextEncoder(spec, config)

    def change(self, raw: Tensor, config: AugmentConfig, tokenizer: Tokenizer | None) -> Tensor:
        """Drop and misspell words."""
        if not (config.drop or config.typos):
            return raw
        assert tokenizer is not None  # noqa: S101 - a model with captions has one
        return change_captions(raw, config, tokenizer)

    def backgrounds(self, spec: InputSpec, encoder: EncoderConfig, count: int, draw: Generator) -> Tensor:
        """Return random tokens."""
        return captions(count, spec.shape[1], encoder.vocabulary, draw)


class TextEncoder(TokenEncoder):
    """int64 [B, L] token ids, 0 for padding -> float32 [B, d]."""

    causal: Tensor

    def __init__(self, spec: InputSpec, config: EncoderConfig) -> None:
        super().__init__()
        length = spec.shape[1]
        self.grid = (length,)
        self.clip = config.clip
        self.token = nn.Embedding(config.vocabulary, config.width)
        nn.init.normal_(self.token.weight, std=0.02)
        self.position = positions(self.grid, config)
        self.trunk = Trunk(config)
        if config.clip:
            later = torch.full((1, 1, length, length), HIDE).triu(1)
            self.register_buffer("causal", later, persistent=False)

    def tokens(self, features: Tensor) -> Tensor:
        """Look up token ids."""
        return self.token(features) + self.position  # type: ignore[no-any-return]

    def encode(self, features: Tensor) -> Tensor:
        """Turn token ids into embeddings: of the mean token, or of CLIP's end-of-text token."""
        batch, count = features.shape
        if self.clip:
            end = features.argmax(dim=1, keepdim=True)
            last = torch.arange(count, device=features.device).view(1, count) == end
            return self.trunk(self.tokens(features), self.causal, last.float().view(batch, 1, count))  # type: ignore[no-any-return]
        keep = features.clamp(0, 1).to(torch.float32)
        bias = ((keep - 1.0) * -HIDE).view(batch, 1, 1, count)
        keep = keep.view(batch, 1, count)
        # The embedding of an empty caption is arbitrary, but finite.
        share = keep / torch.bmm(keep, keep.view(batch, count, 1)).clamp(min=1)
        return self.trunk(self.tokens(features), bias, share)  # type: ignore[no-any-return]
