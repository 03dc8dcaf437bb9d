"""The matrix with every row: the paper's methods, late fusion, and what ships."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from sensemble_runtime.progress import Stages, no_progress
from sensemble_runtime.subsets import Subset
from sensemble_sensors.media.dataset import Dataset, Example

from sensemble_train.data.batching import seeded
from sensemble_train.data.clips import Clips, Source
from sensemble_train.distributed import World
from sensemble_train.experiments.config import experiment_of
from sensemble_train.experiments.examples import check, choose
from sensemble_train.experiments.models import new_model
from sensemble_train.experiments.streamed import Streamed
from sensemble_train.models.model import Model
from sensemble_train.recipe.cell import Cell
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.examples import Chosen, Report
from sensemble_train.recipe.methods import finetune
from sensemble_train.recipe.recipe import SHIPPED, Recipe, Row, Rows
from sensemble_train.recipe.run_folder import Matrix


def _finetune(cell: Cell) -> Model:
    return cell.trained("finetune", lambda loop: finetune(cell.start(loop)))


def _masd(cell: Cell) -> Model:
    if set(cell.train) == set(cell.pretrained.modalities):  # no student: MASD is finetuning (Table 9)
        return cell.trained("masd", lambda _: _finetune(cell))
    return cell.masd()


@torch.no_grad()
def wiseft(trained: Model, probed: Model, alpha: float) -> Model:
    """Return alpha * trained + (1 - alpha) * probed, weight by weight (paper, Eq. 9)."""
    merged, start = copy.deepcopy(probed), probed.state_dict()
    merged.load_state_dict(
        {
            name: alpha * value + (1 - alpha) * start[name] if value.is_floating_point() else value
            for name, value in trained.state_dict().items()
        }
    )
    return merged.eval()


def _averaged(method: str, row: Row) -> Row:
    def make(cell: Cell) -> Model:
        alpha = experiment_of(cell.job.config).alpha
        return cell.trained(method, lambda _: wiseft(row(cell), cell.probed(), alpha))

    return make


ROWS: Rows = {
    "linear_probe": Cell.probed,
    "finetune": _finetune,
    "wiseft": _averaged("wiseft", _finetune),
    "masd": _masd,
    "masd+wiseft": _averaged("masd+wiseft", _masd),
    "late_fusion": Cell.late_fusion,
    **SHIPPED,
}


def run(
    config: Config,
    out: Path | str,
    progress: Stages = no_progress,
    dataset: Dataset | None = None,
    rows: Rows | None = None,
) -> Matrix:
    """Train `rows`, by default every one, for every M_T of `config`, and score each; as `recipe.run`."""
    return ExperimentRecipe(config, rows or ROWS).run(Path(out), progress, dataset)


class ExperimentRecipe(Recipe):
    """The stages of an experiment's run."""

    def __init__(self, config: Config, rows: Rows) -> None:
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

    def source(self, model: Model, use: str, examples: Sequence[Example], report: Report) -> Source:
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
