"""The matrix with every row: the paper's methods, their rivals, and the shipped method.

Its examples are chosen by their use as in Sec. 3.1, 5 and 6.2 of the paper.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import Subset
from sensemble_runtime.subsets import name as subset_name
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import Clips, ClipSource
from sensemble_train.data.trainable import having, unlabelled
from sensemble_train.distributed import World
from sensemble_train.errors import ConfigurationError
from sensemble_train.experiments.config import RANDOM, Experiment, experiment_of
from sensemble_train.experiments.mae import pretrain_masked
from sensemble_train.experiments.models import new_model
from sensemble_train.experiments.rivals import labelled_subsets
from sensemble_train.experiments.streamed import Streamed
from sensemble_train.models.model import Model, copied
from sensemble_train.recipe import examples
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.examples import Chosen, ProgressOf
from sensemble_train.recipe.job import SubsetJob
from sensemble_train.recipe.methods import finetune
from sensemble_train.recipe.recipe import SHIPPED, MatrixRow, MatrixRows, Recipe
from sensemble_train.recipe.run_folder import Matrix
from sensemble_train.training.loop import Loop


def choose(config: Experiment, dataset: Dataset) -> dict[str, Sequence[Example]]:
    """Return the examples by their use, as `recipe.examples.choose`, and `distill`, if D_SD has its own."""
    chosen = examples.choose(dataset)
    train, every = chosen["train"], dataset.modalities
    if config.distill_data:
        chosen["distill"] = examples.without_labels(_of_another_dataset(config, every))
    elif config.held_out:
        order = torch.randperm(len(train), generator=seeded(config.seed, "held out")).tolist()
        count = round(config.held_out * len(train))
        chosen["train"] = [train[row] for row in order[count:]]
        chosen["distill"] = examples.without_labels([train[row] for row in order[:count]])
        complete = len(having(chosen["distill"], every))
        if complete < 2:
            raise ConfigurationError(
                f"--held-out {config.held_out:g}: {complete} of the {count} examples held out have all of "
                f"{subset_name(every)}; distillation takes two, hold out more or add some"
            )
    return chosen


def check(config: Experiment, dataset: Dataset, train: Sequence[Example]) -> list[Subset]:
    """Return the sets M_T; as `recipe.examples.check`, but also raises for untrained encoders."""
    _check_initialize(config)
    return examples.check(config, dataset, train, from_scratch=config.from_scratch)


def _of_another_dataset(config: Experiment, every: Sequence[str]) -> list[Example]:
    """Draw D_SD from the unlabelled examples of `distill_data` that have all modalities (Sec. 5)."""
    complete = having(unlabelled(examples.read(config.distill_data, skip_bad=config.skip_bad)), every)
    if len(complete) < 2:
        raise ConfigurationError(
            f"--distill-data {config.distill_data}: {len(complete)} unlabelled examples have all of "
            f"{subset_name(every)}; distillation takes two, choose another"
        )
    order = torch.randperm(len(complete), generator=seeded(config.seed, "distill"))
    return [complete[row] for row in order[: config.distill].tolist()]


def _check_initialize(config: Experiment) -> None:
    """Refuse to probe and finetune untrained encoders, unless the configuration asks for it."""
    nothing = not (config.pretrain.steps or config.pretrain.epochs)
    if config.initialize or not (nothing or config.model.name == "clip_b16"):
        return
    why = "this run pretrains nothing" if nothing else "clip_b16 starts from CLIP's weights (App. D)"
    what = "OpenAI's ViT-B-16.pt or the pretrained/ of a run"
    if config.model.name != "clip_b16":
        what = "the pretrained/ of a run"
    raise ConfigurationError(f"--initialize: {why}; give {what}, or `{RANDOM}` to train from scratch")


def _finetune(cell: SubsetJob) -> Model:
    return cell.trained("finetune", lambda loop: cell.sized(finetune(cell.start(loop))))


def _masd(cell: SubsetJob) -> Model:
    if set(cell.train) == set(cell.pretrained.modalities):  # no student: MASD is finetuning (Table 9)
        return cell.trained("masd", lambda _: _finetune(cell))
    return cell.masd()


@torch.no_grad()
def wiseft(trained: Model, probed: Model, alpha: float) -> Model:
    """Return alpha * trained + (1 - alpha) * probed, weight by weight (paper, Eq. 9)."""
    merged, start = copied(probed), probed.state_dict()
    merged.load_state_dict(
        {
            name: alpha * value + (1 - alpha) * start[name] if value.is_floating_point() else value
            for name, value in trained.state_dict().items()
        }
    )
    return merged.eval()


def _averaged(method: str, row: MatrixRow, *, softened: bool = False) -> MatrixRow:
    """Return the row of WiSE-FT, with the probe as trained or, `softened`, as finetuning begins with it."""

    def make(cell: SubsetJob) -> Model:
        alpha, temperature = experiment_of(cell.job.config).alpha, cell.job.config.probe.temperature

        def merged(_: Loop) -> Model:
            probed = cell.probed()
            for parameter in probed.head.parameters():
                parameter.data.mul_(1 if softened else temperature)
            return cell.sized(wiseft(row(cell), probed, alpha))

        return cell.trained(method, merged)

    return make


def _on_labels(method: str, *, drawn: bool = False) -> MatrixRow:
    return lambda cell: cell.trained(
        method, lambda loop: cell.sized(labelled_subsets(cell.start(loop), drawn=drawn))
    )


ROWS: MatrixRows = {
    "linear_probe": SubsetJob.sized_probe,
    "finetune": _finetune,
    "wiseft": _averaged("wiseft", _finetune),
    "masd": _masd,
    "masd+wiseft": _averaged("masd+wiseft", _masd),
    "wiseft_softened": _averaged("wiseft_softened", _finetune, softened=True),
    "masd+wiseft_softened": _averaged("masd+wiseft_softened", _masd, softened=True),
    "late_fusion": SubsetJob.late_fusion,
    "labelled_subsets": _on_labels("labelled_subsets"),
    "modality_dropout": _on_labels("modality_dropout", drawn=True),
    **SHIPPED,
}


def rows_of(config: Config) -> MatrixRows:
    """Return the rows of a run; softened ones only where the probe is softened, as the paper's are not."""
    same = config.probe.temperature == 1
    return {name: row for name, row in ROWS.items() if not (same and name.endswith("_softened"))}


def run(
    config: Config,
    out: Path | str,
    progress: Stages = no_progress,
    dataset: Dataset | None = None,
    rows: MatrixRows | None = None,
) -> Matrix:
    """Train `rows`, by default every one, for every M_T of `config`, and score each; as `recipe.run`."""
    return ExperimentRecipe(config, rows or rows_of(config)).run(Path(out), progress, dataset)


class ExperimentRecipe(Recipe):
    """The stages of an experiment's run."""

    def __init__(self, config: Config, rows: MatrixRows) -> None:
        super().__init__(config, rows)
        self.experiment = experiment_of(config)
        self.skip_bad = self.experiment.skip_bad

    def examples(self, dataset: Dataset) -> tuple[Chosen, list[Subset]]:
        """See `Recipe`."""
        chosen = choose(self.experiment, dataset)
        return chosen, check(self.experiment, dataset, chosen["train"])

    def begin(self, dataset: Dataset, world: World) -> tuple[Model, float]:
        """See `Recipe`."""
        return new_model(self.experiment, dataset, world)

    def pretrain(
        self, model: Model, unlabelled: ClipSource, loop: Loop, log_scale: float, background: Clips | None
    ) -> Model:
        """Return a copy of `model`, pretrained by the experiment's objective."""
        config = self.experiment
        if config.objective == "contrastive":
            return super().pretrain(model, unlabelled, loop, log_scale, background)
        return pretrain_masked(model, unlabelled, config.pretrain, config.mae, loop)

    def source(self, model: Model, use: str, examples: Sequence[Example], report: ProgressOf) -> ClipSource:
        """Return examples in memory or, as they pass the front ends when they are loaded, streamed."""
        config = self.experiment
        if not config.stream:
            return super().source(model, use, examples, report)
        seed = seeded(config.seed, f"windows {use}").initial_seed() % 2**32
        described, tokenizer = model.description, model.tokenizer
        raw = Streamed(examples, described, tokenizer, config.sampling, seed, config.skip_bad)

        def front(clips: Clips) -> Clips:
            model.to(next(iter(clips.inputs.values())).device)
            return replace(clips, inputs=model.front(clips.inputs))

        return raw.mapped(front)
