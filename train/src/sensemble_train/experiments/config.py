"""The configuration of an experiment: the shipped recipe's, and the paper's own settings."""

from dataclasses import dataclass, fields
from pathlib import Path

from sensemble_sensors.media.decoding import PLAIN, Sampling

from sensemble_train.errors import ConfigurationError
from sensemble_train.field_checks import Share
from sensemble_train.recipe.config import Config, read_config

RANDOM = "random"  # value of `initialize` to train from scratch


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
        alpha: weight of the trained model in WiSE-FT (Sec. 4.2.2: 0.75).
    """

    initialize: str = ""
    merges: str = ""
    stream: bool = False
    sampling: Sampling = PLAIN
    skip_bad: bool = False
    held_out: Share = 0.0
    distill_data: str = ""
    alpha: Share = 0.75

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        if self.teacher:
            raise ConfigurationError("--teacher: is of `sensemble train`; a row of the matrix has its own")
        if self.encoders and not self.model.fitted:
            raise ConfigurationError(
                "--encoders: pretrained encoders take the model `small`; leave out --encoders or --model.name"
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
    return Experiment(**{each.name: getattr(config, each.name) for each in fields(Config)})


def read_experiment(path: Path) -> Experiment:
    """Read the `config.json` of a run, of an experiment or of what ships; raises as `read_config`."""
    try:
        return experiment_of(read_config(path, Config))
    except ConfigurationError:
        return read_config(path, Experiment)
