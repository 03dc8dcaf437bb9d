"""The configuration of a run: the data, the sets of labelled modalities, and all settings."""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from sensemble_sensors import durable
from sensemble_sensors.media.dataset import Dataset
from sensemble_sensors.strict_json import MORE, DecodeError, decode, document

from sensemble_train.data.trainable import having, unlabelled
from sensemble_train.errors import ConfigurationError
from sensemble_train.field_checks import check
from sensemble_train.models.augment_config import DERIVED, AugmentConfig
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.recipe.methods import FinetuneConfig, PretrainConfig, ProbeConfig
from sensemble_train.recipe.run_folder import CONFIG
from sensemble_train.training.scale import ScaleConfig


@dataclass(frozen=True, slots=True)
class Config:
    """A run of the recipe; the defaults are those of `digits`.

    Attributes:
        data: a folder in the data format.
        train_modalities: each M_T to train for, such as `audio+video`, or `all`.
        seed: decides the initial weights, every batch and every augmentation.
        task: whether examples have one class each or any number; `derived` follows the labels.
        model: the sizes of the encoders, which fit the data.
        encoders: modality -> source of its pretrained encoder, frozen behind an adapter: a name such as
            `whisper-tiny.en`, `timm:NAME`, `hf:FOLDER` or `package.module:factory` (`pretrained.sources`).
            The other modalities' encoders learn from scratch.
        unfrozen: modality -> last blocks of its pretrained encoder that also learn; -1 for all of it.
        teacher: folder of a saved model of larger encoders that these imitate (`imitation`); "" for none.
        augment: random changes in training (App. E); by default those of derived presets.
        distill: largest number of unlabelled examples in D_SD. The default is more than `digits` has: a
            student memorizes a small set.
        pretrain: pretraining; with 0 steps and epochs, it is left out.
        probe: the linear probe.
        finetune: finetuning and subset distillation.
        scale: sharing of work, precision and memory; all but the precision may change during a run.
    """

    data: str
    train_modalities: tuple[str, ...] = ("video",)
    seed: int = 0
    task: Literal["derived", "multi-class", "multi-label"] = "derived"
    model: ModelConfig = field(default_factory=ModelConfig)
    encoders: dict[str, str] = field(default_factory=dict)
    unfrozen: dict[str, int] = field(default_factory=dict)
    teacher: str = ""
    augment: AugmentConfig = DERIVED
    distill: Annotated[int, (2, MORE)] = 2700
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)

    def __post_init__(self) -> None:
        check(self)
        if not self.train_modalities:
            raise ConfigurationError("--train-modalities: name sets such as `video audio+text`, or `all`")


Read = TypeVar("Read", bound=Config)


def read_config(path: Path, kind: type[Read]) -> Read:
    """Read the `config.json` of a run folder.

    Raises:
        ConfigurationError: it cannot be read, or has another form.
    """
    try:
        found = document(path.read_text("utf-8"))
        if isinstance(found, dict) and isinstance(scale := found.get("scale"), dict):
            found["scale"] = asdict(ScaleConfig()) | scale  # settings since that run; they change no result
        config: Read = decode(kind, found)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except (DecodeError, UnicodeDecodeError, ConfigurationError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return config


_FREE = {"train_modalities", "scale"}  # these change no cell of the matrix


def claim(run: Path, config: Config) -> None:
    """Make `run` the folder of `config`, or continue in it if it already is.

    A folder may be continued with other modality sets and at another scale; all other settings must be the
    same.

    Raises:
        ConfigurationError: the folder holds a run with other settings; the message names them.
    """
    path = run / CONFIG
    if path.exists():
        try:
            old = asdict(read_config(path, type(config)))
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}; choose another --out") from error
        new = asdict(config)
        old["precision"], new["precision"] = (each["scale"]["precision"] for each in (old, new))
        changes = [one for name in new if name not in _FREE for one in _changes(name, old[name], new[name])]
        if changes:
            encoders = old["encoders"] != new["encoders"]
            its = ", or its encoders by --encoder and --from-scratch" if encoders else ""
            raise ConfigurationError(
                f"{run}: holds a run with other settings ({', '.join(changes)}); choose another --out{its}"
            )
    run.mkdir(parents=True, exist_ok=True)
    durable.write(path, json.dumps(asdict(config), indent=1).encode())


def _changes(name: str, old: Any, new: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(old, dict) and old.keys() == new.keys():
        for key in old:
            yield from _changes(f"{name}.{key}", old[key], new[key])
    elif old != new:
        yield f"{name} was {old}, is {new}"


_UNLABELLED, _LABELLED = 2036, 794
"""Examples of `digits` that pretraining and finetuning see; the default steps suit this number."""
_FEWEST = 20  # steps
_PASSES = 7  # over the labelled examples, at least: fewer leave what many examples could teach unlearned
_IMITATION = 30  # steps to imitate a teacher for one of contrastive learning


def derived(config: Config, dataset: Dataset, effort: float = 1.0) -> Config:
    """Return `config` with the steps of each stage in proportion to the root of its number of examples.

    Fewer examples are seen more often each, but take less time in all: a twentieth of the examples of
    `digits` takes a quarter of its steps. More examples than it has take as many steps as it does, but for
    labelled ones, each of which is seen seven times at least.
    """
    complete = len(having(unlabelled(dataset), dataset.modalities))
    labelled = len(dataset.split("train"))

    def scaled(steps: int, examples: int, usual: int) -> int:
        share = min(1.0, math.sqrt(examples / usual))
        return max(1, round(effort * max(_FEWEST, share * steps)))

    pretrain, finetune = config.pretrain, config.finetune
    passes = round(effort * _PASSES * labelled / finetune.batch)
    steps = pretrain.steps * (_IMITATION if config.teacher else 1)
    return replace(
        config,
        pretrain=replace(pretrain, steps=scaled(steps, complete, _UNLABELLED)),
        probe=replace(config.probe, steps=scaled(config.probe.steps, 1, 1)),  # they take no time
        finetune=replace(finetune, steps=max(passes, scaled(finetune.steps, labelled, _LABELLED))),
    )
