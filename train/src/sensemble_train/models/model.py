"""The model of Sec. 4.1 and its files: an encoder per modality, a mean of embeddings, a linear head."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from textwrap import shorten

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.strict_json import decode, document, encode
from tokenizers import Tokenizer
from torch import Tensor, nn

from sensemble_train.errors import CheckpointError, ConfigurationError
from sensemble_train.models.encoders import (
    ByModality,
    Encoder,
    EncoderConfig,
    TokenEncoder,
    Trunk,
    module_name,
)
from sensemble_train.models.kinds.registry import kind_of as train_kind
from sensemble_train.models.pretrained.encoder import Pretrained


@dataclass(frozen=True, slots=True)
class Description:
    """A model without its weights; `specs` and `configs` are of the encoders, by modality."""

    specs: dict[str, InputSpec]
    configs: dict[str, EncoderConfig]
    labels: tuple[str, ...]
    task: Task
    shared: int = 0  # last blocks, and the norm after them, that all encoders share (App. D: one, for MAE)

    @property
    def tokenized(self) -> tuple[str, ...]:
        """Modalities whose inputs a tokenizer makes."""
        return tuple(m for m, spec in self.specs.items() if kind_of(spec).tokenized)

    @property
    def linear(self) -> bool:
        """True for a linear student (`recipe.linear_student`), which learned from `calibrate` too."""
        return all(config.decay for config in self.configs.values())


class Head(nn.Module):
    """A linear classifier after a BatchNorm without affine parameters (App. C; He et al., 2022).

    Embeddings have unit length, so each of their numbers is small. Without the norm, the weights would be
    large, and AdamW would hardly change them at the rates of finetuning. The probe sets the norm's
    statistics, finetuning keeps them, and export folds them into the weights.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(size, affine=False, momentum=None)
        self.linear = nn.Linear(size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map mean embeddings [B, d] to logits [B, C]."""
        return self.linear(self.norm(x))  # type: ignore[no-any-return]

    @torch.no_grad()
    def folded(self) -> nn.Linear:
        """Return the linear layer with the same logits, given the norm's running statistics."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None  # noqa: S101 - tracked, as by default
        assert variance is not None  # noqa: S101
        folded = nn.Linear(self.linear.in_features, self.linear.out_features)
        folded.weight.copy_(self.linear.weight * torch.rsqrt(variance + self.norm.eps))
        folded.bias.copy_(self.linear.bias - folded.weight @ mean)
        return folded


class Model(nn.Module):
    """Encoders into one space and a classifier on their mean.

    Attributes:
        tokenizer: turns captions into token ids; None without text.
        encoders: modality -> raw sensor tensor [B, ...] to unit-length embedding [B, d].
        head: mean embeddings [B, d] to logits [B, C].

    Raises:
        ConfigurationError: the shape of an encoder is impossible, or the encoders cannot share blocks.
    """

    def __init__(self, description: Description, tokenizer: Tokenizer | None) -> None:
        super().__init__()
        self.description, self.tokenizer = description, tokenizer
        specs, configs = description.specs, description.configs
        self.encoders = ByModality({m: _encoder(specs[m], configs[m]) for m in sorted(specs)})
        trunks = [e.trunk for e in self.encoders.values() if isinstance(e, TokenEncoder)]
        if description.shared and trunks:
            _share(trunks, description.shared)
        self.register_state_dict_post_hook(_leave_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_back)  # type: ignore[no-untyped-call]
        self.head = Head(next(iter(configs.values())).embedding, len(description.labels))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that have an encoder, sorted."""
        return tuple(self.encoders)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, C] for raw sensor tensors [B, ...] of any non-empty set of modalities."""
        return self.classify({m: self.encoders[m].front(x) for m, x in inputs.items()})  # type: ignore[operator]

    @torch.no_grad()
    def front(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn raw sensor tensors [B, ...] into each encoder's features."""
        return {m: self.encoders[m].front(x) for m, x in raw.items()}  # type: ignore[operator]

    def classify(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, C] of the mean embedding (Eq. 7) of features."""
        return self.head(torch.stack(list(self.embed(features).values())).mean(dim=0))  # type: ignore[no-any-return]

    def answers(self, pooled: Tensor, sizes: Tensor) -> Tensor:
        """Return logits [S, N, C] of pooled embeddings [S, N, d], each a mean of `sizes` [S, 1, 1]."""
        del sizes
        return self.head.folded()(pooled)  # type: ignore[no-any-return]

    def embed(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Encode the features of each modality: [B, ...] to [B, d]."""
        return {m: self.encoders[m].encode(x) for m, x in features.items()}  # type: ignore[operator]


def _encoder(spec: InputSpec, config: EncoderConfig) -> Encoder:
    return Pretrained(spec, config) if config.source else train_kind(spec).encoder(spec, config)


def _share(trunks: Sequence[Trunk], count: int) -> None:
    """Replace the last `count` blocks and the norm of all trunks by those of the first."""
    first, *others = trunks
    if any(str(trunk.blocks) != str(first.blocks) for trunk in others) or count > len(first.blocks):
        raise ConfigurationError(
            f"--model.shared {count}: takes encoders of one shape with as many blocks; set "
            "--model.text-heads to --model.heads"
        )
    for trunk in others:
        for block in range(len(first.blocks) - count, len(first.blocks)):
            trunk.blocks[block] = first.blocks[block]
        trunk.norm = first.norm


def _leave_out(model: Model, state: dict[str, Tensor], prefix: str, _: object) -> None:
    """Leave the weights of frozen encoders out of a state dict."""
    for name in _frozen(model):
        state.pop(prefix + name, None)


def _put_back(model: Model, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    for name, value in _frozen(model).items():
        state[prefix + name] = value


def _frozen(model: Model) -> dict[str, Tensor]:
    return {
        f"encoders.{module_name(m)}.pretrained.{name}": value
        for m, encoder in model.encoders.items()
        if isinstance(encoder, Pretrained) and not encoder.learns
        for name, value in encoder.pretrained.state_dict().items()
    }


def save_model(model: Model, folder: Path) -> None:
    """Write `model.json`, `tokenizer.json` if there is text, and last `weights.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps(encode(model.description), indent=1), encoding="utf-8")
    if model.tokenizer is not None:
        model.tokenizer.save(str(folder / "tokenizer.json"))
    unfinished = folder / "weights.partial"
    try:
        safetensors.save_model(model, str(unfinished))  # shared blocks are written once
    except SafetensorError as error:
        unfinished.unlink(missing_ok=True)
        raise CheckpointError(
            f"{folder}: cannot be written ({error}); make room on its disk and run it again to continue"
        ) from error
    unfinished.rename(folder / "weights.safetensors")


def load_model(folder: Path | str) -> Model:
    """Load a model that `save_model` wrote; it is in evaluation mode.

    Raises:
        CheckpointError: a file is missing, unreadable, or does not fit the others.
    """
    folder = Path(folder)
    try:
        description: Description = decode(Description, document((folder / "model.json").read_text("utf-8")))
        tokenizer = (
            _tokenizer((folder / "tokenizer.json").read_text("utf-8")) if description.tokenized else None
        )
        model = Model(description, tokenizer)
        safetensors.load_model(model, folder / "weights.safetensors")
    except Exception as error:  # tokenizers raises no narrower one; any error means that the files do not fit
        reason = shorten(f"{type(error).__name__}: {error}", 300)
        raise CheckpointError(f"{folder}: not a saved model ({reason}); train it again") from error
    return model.eval()


@lru_cache(maxsize=1)  # a run loads dozens of models with the same one; reading CLIP's takes 0.15 s
def _tokenizer(written: str) -> Tokenizer:
    return Tokenizer.from_str(written)


def copied(model: Model) -> Model:
    """Return a copy with weights of its own; it shares the tokenizer, which nothing changes."""
    return copy.deepcopy(model, {id(model.tokenizer): model.tokenizer})


def configured(model: Model, configs: Mapping[str, EncoderConfig]) -> Model:
    """Return a copy in evaluation mode, of the same weights, some of whose encoders are configured anew."""
    described = model.description
    changed = Model(replace(described, configs={**described.configs, **configs}), model.tokenizer)
    changed.load_state_dict(model.state_dict())
    return changed.eval()
