"""The configuration of an experiment: the shipped recipe's, and the paper's own settings."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from sensemble_sensors.media.decoding import PLAIN, Sampling

from sensemble_train.errors import ConfigurationError
from sensemble_train.field_checks import Share, Size, check, divisible
from sensemble_train.recipe.config import Config, read_config
from sensemble_train.recipe.methods import FinetuneConfig
from sensemble_train.recipe.pretrain import PretrainConfig

RANDOM = "random"  # value of `initialize` to train from scratch


@dataclass(frozen=True, slots=True)
class MAEConfig:
    """The shares of tokens to mask, and the decoder, of masked autoencoding (`mae`).

    Attributes:
        audio: share of the tokens of sound, drawn freely over time and mel bins (App. E).
        video: share of the tokens of frames, drawn freely over space and time (App. E; Feichtenhofer et al.,
            2022).
        text: share of the tokens of text; the paper names none, this is that of Geng et al., 2022.
        repeats: masks of each example per step (App. E).
        width: width of the decoder; as `depth` and `heads` from He et al., 2022, consistent with Table 5.
        depth: blocks of the decoder.
        heads: attention heads of the decoder.
    """

    audio: Share = 0.8
    video: Share = 0.9
    text: Share = 0.75
    repeats: Size = 2
    width: Size = 512
    depth: Size = 8
    heads: Size = 16

    def __post_init__(self) -> None:
        check(self, "pretrain.mae.")
        divisible(self, "pretrain.mae.", "width", self.heads, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPretrain(PretrainConfig):
    """Settings of pretraining by either objective.

    Attributes:
        objective: contrastive learning, or masked autoencoding.
        mae: masks and decoder of masked autoencoding.
    """

    objective: Literal["contrastive", "mae"] = "contrastive"
    mae: MAEConfig = field(default_factory=MAEConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentFinetune(FinetuneConfig):
    """Settings of finetuning, MASD, WiSE-FT and subset distillation (Table 7).

    Attributes:
        alpha: weight of the trained model in WiSE-FT (Sec. 4.2.2: 0.75).
    """

    alpha: Share = 0.75


@dataclass(frozen=True, slots=True)
class Experiment(Config):
    """A run of the paper's methods, and of what ships beside them.

    Attributes:
        initialize: a file of CLIP's weights (App. D), or the folder of a saved model with the encoders,
            as Kinetics uses AudioSet's; `random` to train from scratch. Empty means `random`, but is refused
            if the encoders should be pretrained: in a run without pretraining, or with CLIP's shape.
        merges: OpenAI's merges, by which `clip_b16` tokenizes captions.
        stream: decode examples when they are needed, instead of keeping all in memory.
        sampling: how a window is cut from a longer example, if examples are streamed.
        skip_bad: log a bad line of the index, or an example that cannot be decoded, and leave it out; if
            examples are streamed, the next one takes its place.
        held_out: share of the labelled examples that make D_SD, without their labels (Sec. 5, Kinetics); 0 to
            draw D_SD from pretraining's examples.
        distill_data: folder of another dataset, whose unlabelled examples make D_SD, as AudioSet's do for
            Kinetics (Sec. 5); empty to draw it from `data`.
    """

    initialize: str = ""
    merges: str = ""
    stream: bool = False
    sampling: Sampling = PLAIN
    skip_bad: bool = False
    held_out: Share = 0.0
    distill_data: str = ""
    pretrain: ExperimentPretrain = field(default_factory=ExperimentPretrain)
    finetune: ExperimentFinetune = field(default_factory=ExperimentFinetune)

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        if self.teacher:
            raise ConfigurationError("--teacher: is of `sensemble train`; a row of the matrix has its own")
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
        """Tell whether the initial weights of the encoders are random."""
        return self.initialize in {"", RANDOM}


def experiment_of(config: Config) -> Experiment:
    """Return a configuration of what ships with the paper's own settings at their defaults."""
    if isinstance(config, Experiment):
        return config
    values = {each.name: getattr(config, each.name) for each in fields(Config)}
    for name, kind in (("pretrain", ExperimentPretrain), ("finetune", ExperimentFinetune)):
        shared = fields(type(values[name]))
        values[name] = kind(**{each.name: getattr(values[name], each.name) for each in shared})
    return Experiment(**values)


def read_experiment(path: Path) -> Experiment:
    """Read the `config.json` of a run, of an experiment or of what ships; raises as `read_config`."""
    try:
        return read_config(path, Experiment)
    except ConfigurationError as error:
        try:
            return experiment_of(read_config(path, Config))
        except ConfigurationError:
            raise error from None
