"""The matrix with every row: the paper's methods, rivals, and what ships."""

from dataclasses import replace
from pathlib import Path

from sensemble_runtime.progress import Stages, no_progress

from sensemble_train.experiments.initialization import new_model
from sensemble_train.experiments.mae import pretrain
from sensemble_train.experiments.methods import labelled_subsets, wiseft
from sensemble_train.models.model import Model
from sensemble_train.recipe import recipe
from sensemble_train.recipe.cell import Cell
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.fusion import fuse
from sensemble_train.recipe.methods import finetune
from sensemble_train.recipe.recipe import Row, Rows
from sensemble_train.recipe.run_folder import Matrix


def _finetune(cell: Cell) -> Model:
    return cell.trained("finetune", lambda loop: finetune(cell.start(loop)))


def _finetune_everything(cell: Cell) -> Model:
    everything = cell.sources["everything"]
    return cell.trained(
        "finetune_everything", lambda loop: finetune(replace(cell.start(loop), labelled=everything))
    )


def _masd(cell: Cell) -> Model:
    if set(cell.train) == set(cell.pretrained.modalities):  # no student: MASD is finetuning (Table 9)
        return cell.trained("masd", lambda _: _finetune(cell))
    return cell.masd()


def _averaged(method: str, row: Row) -> Row:
    return lambda cell: cell.trained(
        method, lambda _: wiseft(row(cell), cell.probed(), cell.job.config.finetune.alpha)
    )


def _on_labels(method: str, *, drawn: bool) -> Row:
    return lambda cell: cell.trained(method, lambda loop: labelled_subsets(cell.start(loop), drawn=drawn))


def _late_fusion(cell: Cell) -> Model:
    return fuse(cell.specialists(), cell.sources["calibrate"], cell.job.loop("temperatures"))


ROWS: Rows = {
    "linear_probe": Cell.probed,
    "finetune": _finetune,
    "wiseft": _averaged("wiseft", _finetune),
    "masd": _masd,
    "masd+wiseft": _averaged("masd+wiseft", _masd),
    "late_fusion": _late_fusion,
    "labelled_subsets": _on_labels("labelled_subsets", drawn=False),
    "modality_dropout": _on_labels("modality_dropout", drawn=True),
    **recipe.SHIPPED,
}
"""The paper's methods, the rivals, and what ships."""


def rows(config: Config) -> Rows:
    """Return the rows of the matrix of a configuration."""
    if not config.everything:
        return ROWS
    return {**ROWS, "finetune_everything": _finetune_everything}


def run(config: Config, out: Path | str, progress: Stages = no_progress) -> Matrix:
    """Train every row for every M_T of `config`, and score each on every M_E; as `recipe.run`."""
    return recipe.run(config, out, progress, rows(config), new_model, pretrain)
