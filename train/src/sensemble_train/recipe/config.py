"""The configuration of a run: the data, the sets of labelled modalities, and all settings."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from sensemble_runtime.bundle.strict_json import DecodeError, decode, document
from sensemble_sensors import durable
from sensemble_sensors.media.decoding import PLAIN, Sampling

from sensemble_train.errors import ConfigurationError
from sensemble_train.field_checks import MORE, SHARE, bounded
from sensemble_train.models.augment_config import DERIVED, AugmentConfig
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.recipe.methods import FinetuneConfig, ProbeConfig
from sensemble_train.recipe.pretrain import PretrainConfig
from sensemble_train.training.scale import ScaleConfig

RANDOM = "random"
"""Value of `initialize` to train from scratch."""


@dataclass(frozen=True, slots=True)
class Config:
    """A run of the recipe; the defaults are those of `digits`.

    Attributes:
        data: a folder in the data format.
        train_modalities: each M_T to train for, such as `audio+video`, or `all`.
        seed: decides the initial weights, every batch and every augmentation.
        modalities: M, the modalities of the data to use, or `all`; the others are left out of every example,
            from pretraining to evaluation (D|_M of Eq. 1), as for Figure 4's model of audio and video.
        task: whether examples have one class each or any number; `derived` follows the labels.
        model: the encoders: `small` ones that fit the data, or one of the paper's (`presets`).
        encoders: modality -> source of its pretrained encoder, frozen behind an adapter: a name such as
            `whisper-tiny.en`, `timm:NAME`, `hf:FOLDER` or `package.module:factory` (`pretrained.sources`).
            The other modalities' encoders learn from scratch.
        initialize: a file of CLIP's weights (App. D), or the folder of a saved model with the encoders,
            as Kinetics uses AudioSet's; `random` to train from scratch. Empty means `random`, but is refused
            if the encoders should be pretrained: in a run without pretraining, or with CLIP's shape.
        merges: OpenAI's merges, by which `clip_b16` tokenizes captions.
        stream: decode examples when they are needed, instead of keeping all in memory.
        sampling: how a window is cut from a longer example, if examples are streamed.
        skip_bad: log a bad line of the index, or an example that cannot be decoded, and leave it out; if
            examples are streamed, the next one takes its place.
        augment: random changes in training (App. E); by default those of derived presets.
        everything: also finetune on pretraining's examples with their labels, for comparison (Sec. 6.2).
        distill: largest number of unlabelled examples in D_SD. The default is more than `digits` has: a
            student memorizes a small set.
        held_out: share of the labelled examples that make D_SD, without their labels (Sec. 5, Kinetics); 0 to
            draw D_SD from pretraining's examples.
        distill_data: folder of another dataset, whose unlabelled examples make D_SD, as AudioSet's do for
            Kinetics (Sec. 5); empty to draw it from `data`.
        pretrain: pretraining; with 0 steps and epochs, it is left out.
        probe: the linear probe.
        finetune: finetuning and MASD.
        scale: sharing of work, precision and memory; all but the precision may change during a run.
    """

    data: str
    train_modalities: tuple[str, ...] = ("video",)
    seed: int = 0
    modalities: tuple[str, ...] = ("all",)
    task: Literal["derived", "multi-class", "multi-label"] = "derived"
    model: ModelConfig = field(default_factory=ModelConfig)
    encoders: dict[str, str] = field(default_factory=dict)
    initialize: str = ""
    merges: str = ""
    stream: bool = False
    sampling: Sampling = PLAIN
    skip_bad: bool = False
    augment: AugmentConfig = DERIVED
    everything: bool = False
    distill: int = 2700
    held_out: float = 0.0
    distill_data: str = ""
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)

    def __post_init__(self) -> None:
        bounded(self, distill=(2, MORE), held_out=SHARE)
        if not self.train_modalities:
            raise ConfigurationError("--train-modalities: name sets such as `video audio+text`, or `all`")
        if not self.modalities or (self.modalities != ("all",) and "all" in self.modalities):
            raise ConfigurationError(
                f"--modalities {' '.join(self.modalities)}: name some of the dataset's, or `all`"
            )
        if self.encoders and not (self.model.fitted and self.pretrain.objective == "contrastive"):
            raise ConfigurationError(
                "--encoders: pretrained encoders take the model `small` and contrastive learning; leave out "
                "--encoders, or --model.name and --pretrain.objective"
            )
        if self.distill_data and self.held_out:
            raise ConfigurationError(
                f"--distill-data {self.distill_data}, --held-out {self.held_out:g}: choose one source of "
                "D_SD; set --held-out 0 to draw it from the other dataset"
            )

    @property
    def from_scratch(self) -> bool:
        """True if the initial weights of the encoders are random."""
        return self.initialize in {"", RANDOM}

    @property
    def ships(self) -> bool:
        """True if `recipe` alone can begin and pretrain this model; others take `experiments`."""
        return self.model.fitted and self.from_scratch and self.pretrain.objective == "contrastive"


def read_config(path: Path) -> Config:
    """Read the `config.json` of a run folder.

    Raises:
        ConfigurationError: it cannot be read, or has another form.
    """
    try:
        config: Config = decode(Config, document(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror})") from error
    except DecodeError as error:
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
    path = run / "config.json"
    if path.exists():
        try:
            old = asdict(read_config(path))
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}; choose another --out") from error
        new = asdict(config)
        old["precision"], new["precision"] = (each["scale"]["precision"] for each in (old, new))
        differ = [name for name in new if name not in _FREE and old[name] != new[name]]
        if differ:
            changes = ", ".join(f"{name} was {old[name]}, is {new[name]}" for name in differ)
            its = ", or its encoders by --encoder and --from-scratch" if "encoders" in differ else ""
            raise ConfigurationError(
                f"{run}: holds a run with other settings ({changes}); choose another --out{its}"
            )
    run.mkdir(parents=True, exist_ok=True)
    durable.write(path, json.dumps(asdict(config), indent=1).encode())
