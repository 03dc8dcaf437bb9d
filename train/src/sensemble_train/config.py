"""What a run is: the data, the modalities that are labelled, and every setting of the recipe."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sensemble_runtime.decode import DecodeError, decode, document

from sensemble_train.errors import ConfigurationError
from sensemble_train.methods import FinetuneConfig, ProbeConfig
from sensemble_train.parallel import ScaleConfig
from sensemble_train.pretrain import PretrainConfig


@dataclass(frozen=True, slots=True)
class Config:
    """One run of the recipe.

    Attributes:
        data: a folder in the data format.
        train_modalities: each M_T to train for, as `audio+video`.
        seed: draws the initial weights and every batch.
        distill: at most how many unlabelled examples make D_SD. As many as `digits` has: a student that sees
            few learns them by heart.
        held_out: the share of the labelled examples that make D_SD instead, and are not labelled then
            (Sec. 5, Kinetics); 0 to take D_SD from pretraining's.
        pretrain: contrastive pretraining.
        probe: the linear probe.
        finetune: finetuning and MASD.
        scale: how the work is shared and kept small.
    """

    data: str
    train_modalities: tuple[str, ...] = ("video",)
    seed: int = 0
    distill: int = 2700
    held_out: float = 0.0
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)


_FREE = {"train_modalities", "scale"}  # fields that change neither what a cell is nor what is in it


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
            before: Config = decode(Config, document(path.read_text("utf-8")))
        except DecodeError as error:
            raise ConfigurationError(f"{path}: {error}; choose another --out") from error
        old, new = asdict(before), asdict(config)
        differ = [name for name in new if name not in _FREE and old[name] != new[name]]
        if differ:
            changes = ", ".join(f"{name} was {old[name]}, is {new[name]}" for name in differ)
            raise ConfigurationError(
                f"{run}: holds a run with other settings ({changes}); choose another --out"
            )
    run.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
