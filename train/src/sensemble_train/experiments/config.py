"""The configuration of an experiment: the shipped recipe's, and the paper's own settings."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

from sensemble_sensors.media.decoding import PLAIN, Sampling
from sensemble_sensors.strict_json import Share

from sensemble_train.errors import ConfigurationError
from sensemble_train.field_checks import Size, check, divisible
from sensemble_train.recipe.config import Config, read_config

RANDOM = "random"  # value of `initialize` to train from scratch


@dataclass(frozen=True, slots=True)
class MAEConfig:
    """The masks and the decoder of masked autoencoding (App. D and E).

    Attributes:
        waveform: share of the tokens of sound that are masked, anywhere in time and mel bins.
        frames: share of the tokens of frames, anywhere in space and time (Feichtenhofer et al., 2022).
        text: share of the tokens of text; the paper names none, Geng et al., 2022, take this one.
        repeats: masks of each example in a step.
        width: width of the decoder; the paper names none, this is that of He et al., 2022, as Table 5 agrees.
        depth: blocks of the decoder, likewise.
        heads: attention heads of the decoder, likewise.
    """

    waveform: Share = 0.8
    frames: Share = 0.9
    text: Share = 0.75
    repeats: Size = 2
    width: Size = 512
    depth: Size = 8
    heads: Size = 16

    def __post_init__(self) -> None:
        check(self, "mae.")
        divisible(self, "mae.", "width", self.heads, 4)


@dataclass(frozen=True, slots=True)
class Experiment(Config):
    """A run of the paper's methods and of the shipped one.

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
        objective: of pretraining, contrastive learning or masked autoencoding (Sec. 4.1).
        mae: settings of masked autoencoding.
        alpha: weight of the trained model in WiSE-FT (Sec. 4.2.2: 0.75).
    """

    initialize: str = ""
    merges: str = ""
    stream: bool = False
    sampling: Sampling = PLAIN
    skip_bad: bool = False
    held_out: Share = 0.0
    distill_data: str = ""
    objective: Literal["contrastive", "mae"] = "contrastive"
    mae: MAEConfig = field(default_factory=MAEConfig)
    alpha: Share = 0.75

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        if self.teacher:
            raise ConfigurationError("--teacher: is of `sensemble train`; a row of the matrix has its own")
        if self.encoders and not (self.model.fitted and self.objective == "contrastive"):
            raise ConfigurationError(
                "--encoders: pretrained encoders take the model `small` and contrastive learning; leave out "
                "--encoders, or --model.name and --objective"
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
    """Return the recipe's configuration with the paper's settings at their defaults."""
    if isinstance(config, Experiment):
        return config
    return Experiment(**{each.name: getattr(config, each.name) for each in fields(Config)})


def read_experiment(path: Path) -> Experiment:
    """Read the `config.json` of a run, of an experiment or of the recipe; raises as `read_config`."""
    try:
        return experiment_of(read_config(path, Config))
    except ConfigurationError:
        return read_config(path, Experiment)
