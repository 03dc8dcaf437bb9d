"""Estimate of a run's time on this machine: a few real steps of each stage are timed."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import Subset
from sensemble_sensors.clock import REAL
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.clips import Clips
from sensemble_train.models.model import Model
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.examples import SYNTHETIC, Chosen, ProgressOf, background_examples, backgrounds
from sensemble_train.recipe.recipe import Recipe
from sensemble_train.recipe.run_folder import SCORED

_TIMED = 4  # steps of a stage
_BACKGROUND = "background"  # at the end of the names of the stages that read these
_SYNTHETIC = 40  # backgrounds that kinds make


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """The time that a stage will take; its steps are optimizer steps or examples."""

    name: str
    steps: int
    step_seconds: float

    @property
    def seconds(self) -> float:
        """All steps' seconds."""
        return self.steps * self.step_seconds


def estimate(
    config: Config, progress: Stages = no_progress, dataset: Dataset | None = None
) -> tuple[StageEstimate, ...]:
    """Run a few steps of each stage on as many examples as the largest batch has; nothing is kept."""
    took: dict[str, list[float]] = defaultdict(list)  # by stage, the seconds before each report of it
    last = REAL.now()

    def watch(stage: str, done: int, total: int) -> None:
        nonlocal last
        last, before = REAL.now(), last
        took[stage].append(last - before)
        progress(stage, done, total)

    timed = _Timed(config)
    with TemporaryDirectory() as folder:
        timed.run(Path(folder), watch, dataset)
    every, few = sum(map(len, timed.chosen.values())), sum(map(len, timed.few.values()))
    sources = {stage: _decoding(times) for stage, times in took.items() if stage.startswith("decode ")}
    sources |= {stage: sum(times) for stage, times in took.items() if stage.startswith("embed ")}
    apart = sum(seconds for stage, seconds in sources.items() if stage.endswith(_BACKGROUND))
    found = [StageEstimate("decode", every, (sum(sources.values()) - apart) / few)]
    if timed.few_backgrounds:
        found.append(StageEstimate("backgrounds", timed.every_background, apart / timed.few_backgrounds))
    tuning = config.finetune.length(len(timed.chosen["train"]))
    for stage, times in took.items():
        if stage == "pretrain" or stage.startswith(("masd ", "specialist ", "subset ")):
            steps = tuning if stage != "pretrain" else config.pretrain.length(len(timed.chosen["pretrain"]))
            found.append(StageEstimate(stage, steps, sum(times[1:]) / (_TIMED - 1)))  # the first is slow
    scored = len(timed.train_sets) * sum(len(timed.chosen[split]) for split in SCORED)
    return (*found, StageEstimate("score", scored, sum(took["embed"]) / len(timed.few["train"])))


def _decoding(times: Sequence[float]) -> float:
    """Return the seconds of a stage without what came before its first report, such as loading encoders."""
    rest = times[1:]
    return sum(rest) * len(times) / len(rest) if rest else times[0]


class _Timed(Recipe):
    """A run of few steps on few examples, which remembers how many there are."""

    chosen: Chosen
    few: Chosen
    train_sets: list[Subset]
    every_background = few_backgrounds = 0

    def __init__(self, config: Config) -> None:
        few = replace(
            config,
            pretrain=replace(config.pretrain, steps=_TIMED if config.pretrain.length(1) else 0, epochs=0),
            probe=replace(config.probe, steps=_TIMED),
            finetune=replace(config.finetune, steps=_TIMED),
        )
        super().__init__(few)

    def examples(self, dataset: Dataset) -> tuple[Chosen, list[Subset]]:
        """Return examples from all over the dataset."""
        self.chosen, self.train_sets = super().examples(dataset)
        self.few = {use: self._some(examples) for use, examples in self.chosen.items()}
        return self.few, self.train_sets

    def background(self, model: Model, dataset: Dataset, report: ProgressOf) -> Clips | None:
        """Return few of them."""
        own = background_examples(self.config, model, dataset)
        some = self._some(own)
        few = backgrounds(self.config, model, some, report, synthetic=_SYNTHETIC)
        if few is not None:
            self.every_background, self.few_backgrounds = len(own) + SYNTHETIC, len(some) + _SYNTHETIC
        return few

    def _some(self, examples: Sequence[Example]) -> Sequence[Example]:
        count = max(self.config.pretrain.batch, self.config.finetune.batch)
        return examples[:: max(1, len(examples) // count)][:count]
