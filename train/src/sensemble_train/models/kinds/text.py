"""Text: token ids of captions, and words dropped and misspelt at random."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from sensemble_runtime.bundle.tokenize import tokenize
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.spec import InputSpec, Modality
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn

from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.encoders import HIDE, EncoderConfig, TokenEncoder, Trunk, positions
from sensemble_train.models.kinds.kind import Kind
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.models.pretrained.sources import TOKENS, tokenizer

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


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
        """Return random tokens, from none to a full caption."""
        length = spec.shape[1]
        ids = torch.randint(1, encoder.vocabulary, (count, length), generator=draw)
        said = torch.randint(0, length + 1, (count, 1), generator=draw)
        return ids * (torch.arange(length) < said)


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


def change_captions(ids: Tensor, config: AugmentConfig, tokenizer: Tokenizer) -> Tensor:
    """Return captions int64 [B, L] with words dropped (one stays) and misspelt as `config` says."""
    length = ids.shape[1]
    captions = tokenizer.decode_batch(ids.tolist(), skip_special_tokens=True)
    draws = torch.rand(len(captions), length, 4).tolist()
    changed = []
    for caption, chances in zip(captions, draws, strict=True):
        words = [(word, *chance) for word, chance in zip(caption.split(), chances, strict=False)]
        kept = [each for each in words if each[1] >= config.drop] or words[:1]
        changed.append(
            " ".join(
                misspelt(word, how, where) if typo < config.typos else word
                for word, _, typo, how, where in kept
            )
        )
    rows = [torch.from_numpy(tokenize(tokenizer, caption, length)) for caption in changed]
    return torch.cat(rows).to(ids.device)


def misspelt(word: str, how: float, where: float) -> str:
    """Return `word` with one typing error, of a sort `how` at a place `where`, both from 0 to 1."""
    place = int(where * len(word))
    before, letter, after = word[:place], word[place], word[place + 1 :]
    if how < 0.25 and after:
        return before + after[0] + letter + after[1:]
    if how < 0.5 and len(word) > 1:
        return before + after
    if how < 0.75:
        return before + 2 * letter + after
    return before + _LETTERS[int(how * 1e6) % len(_LETTERS)] + after
