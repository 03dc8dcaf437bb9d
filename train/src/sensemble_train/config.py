"""What a run is: the data, the modalities that are labelled, and every setting of the recipe."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sensemble_runtime.decode import DecodeError, decode, document

from sensemble_train.errors import ConfigurationError
from sensemble_train.methods import FinetuneConfig, ProbeConfig
from sensemble_train.pretrain import PretrainConfig


@dataclass(frozen=True, slots=True)
class Config:
    """One run of the recipe.

    Attributes:
        data: a folder in the data format.
        train_modalities: each M_T to train for, as `audio+video`.
        seed: draws the initial weights and every batch.
        distill: at most how many unlabelled examples make D_SD. All that `digits` has: a student that sees few
            learns them by heart.
        pretrain: contrastive pretraining.
        probe: the linear probe.
        finetune: finetuning and MASD.
    """

    data: str
    train_modalities: tuple[str, ...] = ("video",)
    seed: int = 0
    distill: int = 2700
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)


def claim(run: Path, config: Config) -> None:
    """Make `run` the folder of `config`, or go on in it if it already is.

    More modality sets may be trained in a folder that holds some; everything else has to be as it was.

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
        differ = [name for name in new if name != "train_modalities" and old[name] != new[name]]
        if differ:
            changes = ", ".join(f"{name} was {old[name]}, is {new[name]}" for name in differ)
            raise ConfigurationError(
                f"{run}: holds a run with other settings ({changes}); choose another --out"
            )
    run.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(config), indent=1), encoding="utf-8")
