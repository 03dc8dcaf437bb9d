"""What a run is: the data, the modalities that are labelled, and every setting of the recipe."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from sensemble_runtime.bundle.strict_json import DecodeError, decode, document
from sensemble_sensors import durable
from sensemble_sensors.media.decoding import PLAIN, Sampling
from sensemble_sensors.spec import MODALITIES

from sensemble_train.errors import ConfigurationError
from sensemble_train.field_checks import MORE, SHARE, bounded
from sensemble_train.models.augment_config import AugmentConfig
from sensemble_train.models.model_config import ModelConfig
from sensemble_train.recipe.methods import FinetuneConfig, ProbeConfig
from sensemble_train.recipe.pretrain import PretrainConfig
from sensemble_train.training.scale import ScaleConfig

RANDOM = "random"
"""What `initialize` is where encoders shall know nothing."""


@dataclass(frozen=True, slots=True)
class Config:
    """One run of the recipe; the values are those of `digits`.

    Attributes:
        data: a folder in the data format.
        train_modalities: each M_T to train for, as `audio+video`, or `all`.
        seed: draws the initial weights, every batch and every augmentation.
        modalities: M, those of the data that there shall be: the others are left out of every example, from
            pretraining to evaluation (D|_M of Eq. 1), as for Figure 4's model of audio and video; or `all`.
        task: whether examples have one class each, or any number; derived from the labels, if not said.
        model: the encoders: `small` ones derived from the data, or one of the paper's (`presets`).
        initialize: a file of CLIP's weights (App. D), or the folder of a saved model whose encoders to take,
            as Kinetics takes AudioSet's; `random` to train from scratch. Empty is `random` too, but refused
            where encoders ought to know something already: nothing is pretrained, or they have CLIP's shape.
        merges: OpenAI's merges, by which `clip_b16` reads captions.
        stream: decode examples whenever they are needed, instead of keeping them all in memory.
        sampling: how a window is taken out of a longer example, where they are streamed.
        skip_bad: log a line of the index that is bad, or an example that cannot be decoded, and leave it out;
            where examples are streamed, the next one takes its place.
        augment: what is changed at random in training (App. E).
        everything: also finetune on pretraining's examples with their labels, for comparison (Sec. 6.2).
        distill: at most how many unlabelled examples make D_SD. More than `digits` has: a student that sees
            few learns them by heart.
        held_out: the share of the labelled examples that make D_SD instead, and are not labelled then
            (Sec. 5, Kinetics); 0 to take D_SD from pretraining's.
        distill_data: the folder of another dataset, from whose unlabelled examples D_SD is drawn, as that of
            Kinetics from AudioSet's (Sec. 5); empty to take it from `data`.
        pretrain: pretraining; of no length to leave it out.
        probe: the linear probe.
        finetune: finetuning and MASD.
        scale: how the work is shared and kept small; all but its precision may change while a run goes on.
    """

    data: str
    train_modalities: tuple[str, ...] = ("video",)
    seed: int = 0
    modalities: tuple[str, ...] = ("all",)
    task: Literal["derived", "multi-class", "multi-label"] = "derived"
    model: ModelConfig = field(default_factory=ModelConfig)
    initialize: str = ""
    merges: str = ""
    stream: bool = False
    sampling: Sampling = PLAIN
    skip_bad: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)
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
        strange = set(self.modalities) - {"all", *MODALITIES}
        if strange or not self.modalities or (self.modalities != ("all",) and "all" in self.modalities):
            raise ConfigurationError(
                f"--modalities {' '.join(self.modalities)}: name some of {' '.join(MODALITIES)}, or `all`"
            )
        if self.distill_data and self.held_out:
            raise ConfigurationError(
                f"--distill-data {self.distill_data}, --held-out {self.held_out:g}: D_SD is either; set "
                "--held-out 0 to take it from the other dataset"
            )

    @property
    def from_scratch(self) -> bool:
        """Whether the encoders' first weights are drawn at random."""
        return self.initialize in {"", RANDOM}


def read_config(path: Path) -> Config:
    """Read the `config.json` of a run folder.

    Raises:
        ConfigurationError: it is not one, or of another version.
    """
    try:
        config: Config = decode(Config, document(path.read_text("utf-8")))
    except (OSError, DecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return config


_FREE = {"train_modalities", "scale"}  # which change neither what a cell is nor what is in it


def claim(run: Path, config: Config) -> None:
    """Make `run` the folder of `config`, or go on in it if it already is.

    More modality sets may be trained in a folder that holds some, and at another scale; everything else has
    to be as it was.

    Raises:
        ConfigurationError: the folder holds a run with other settings; names them.
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
            raise ConfigurationError(
                f"{run}: holds a run with other settings ({changes}); choose another --out"
            )
    run.mkdir(parents=True, exist_ok=True)
    durable.write(path, json.dumps(asdict(config), indent=1).encode())
