"""The model of Sec. 4.1: one encoder per modality, a mean over those at hand, one linear head; and its files."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sensemble_sensors.spec import InputSpec
from tokenizers import Tokenizer
from torch import Tensor, nn

from sensemble_train.encoders import ENCODERS, EncoderConfig
from sensemble_train.errors import CheckpointError


class Model(nn.Module):
    """Encoders into one space and a classifier on their mean.

    Attributes:
        encoders: modality -> raw sensor tensor [B, ...] to unit-length embedding [B, d].
        head: the classifier, [B, d] to logits [B, C].
        specs: what each encoder takes.
        configs: the shape of each encoder.
        labels: name of each class.
        task: `multi-class` or `multi-label`.
        tokenizer: makes token ids of captions, where there is text.
    """

    def __init__(
        self,
        specs: Mapping[str, InputSpec],
        configs: Mapping[str, EncoderConfig],
        labels: tuple[str, ...],
        task: str,
        tokenizer: Tokenizer | None,
    ) -> None:
        super().__init__()
        self.specs, self.configs = dict(specs), dict(configs)
        self.labels, self.task, self.tokenizer = labels, task, tokenizer
        self.encoders = nn.ModuleDict({m: ENCODERS[m](specs[m], configs[m]) for m in sorted(specs)})
        self.head = nn.Linear(next(iter(configs.values())).embedding, len(labels))

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that have an encoder, sorted."""
        return tuple(self.encoders)

    def embed(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Encode each modality of `inputs` on its own: [B, ...] to [B, d]."""
        return {m: self.encoders[m](x) for m, x in inputs.items()}

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return logits [B, C] of the mean over the modalities in `inputs` (Eq. 7)."""
        return self.head(torch.stack(list(self.embed(inputs).values())).mean(dim=0))  # type: ignore[no-any-return]


def save_model(model: Model, folder: Path) -> None:
    """Write `weights.safetensors`, `model.json` and, with text, `tokenizer.json`; the weights come last."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "specs": {m: asdict(spec) for m, spec in model.specs.items()},
        "configs": {m: asdict(config) for m, config in model.configs.items()},
        "labels": list(model.labels),
        "task": model.task,
    }
    (folder / "model.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
    if model.tokenizer is not None:
        model.tokenizer.save(str(folder / "tokenizer.json"))
    unfinished = folder / "weights.partial"
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, unfinished)
    unfinished.rename(folder / "weights.safetensors")


def load_model(folder: Path) -> Model:
    """Read what `save_model` wrote; the model is in evaluation mode.

    Raises:
        CheckpointError: a file is missing, unreadable, or does not fit the others.
    """
    try:
        description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        specs = {m: InputSpec(**_tuples(fields)) for m, fields in description["specs"].items()}
        configs = {m: EncoderConfig(**_tuples(fields)) for m, fields in description["configs"].items()}
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json")) if "text" in specs else None
        model = Model(specs, configs, tuple(description["labels"]), description["task"], tokenizer)
        model.load_state_dict(load_file(folder / "weights.safetensors"))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: not a saved model ({error}); train it again") from error
    return model.eval()


def _tuples(fields: dict[str, object]) -> dict[str, object]:
    """Turn JSON's lists back into the tuples that the dataclasses hold."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
