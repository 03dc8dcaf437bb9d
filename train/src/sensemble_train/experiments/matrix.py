"""The matrix with every row: the paper's methods, rivals, and what ships."""

from pathlib import Path

from sensemble_runtime.progress import Stages, no_progress

from sensemble_train.experiments.methods import labelled_subsets, wiseft
from sensemble_train.models.model import Model
from sensemble_train.recipe import recipe
from sensemble_train.recipe.cell import Cell
from sensemble_train.recipe.config import Config
from sensemble_train.recipe.fusion import fuse
from sensemble_train.recipe.methods import finetune
from sensemble_train.recipe.recipe import Row, Rows
from sensemble_train.recipe.run_folder import Matrix


def _finetune(cell: Cell, method: str = "finetune", labelled: str = "train") -> Model:
    tuning, sources = cell.job.config.finetune, cell.sources
    return cell.trained(
        method, lambda loop: finetune(cell.probed(), sources[labelled], cell.train, tuning, loop)
    )


def _masd(cell: Cell) -> Model:
    if set(cell.train) == set(cell.pretrained.modalities):
        return cell.trained(
            "masd", lambda _: _finetune(cell)
        )  # there is no student, and MASD is finetuning (Table 9)
    return cell.masd()


def _averaged(method: str, row: Row) -> Row:
    """Return the row of WiSE-FT of another row's model."""

    def averaged(cell: Cell) -> Model:
        alpha = cell.job.config.finetune.alpha
        return cell.trained(method, lambda _: wiseft(row(cell), cell.probed(), alpha))

    return averaged


def _on_labels(method: str, *, drawn: bool) -> Row:
    def row(cell: Cell) -> Model:
        tuning, labelled = cell.job.config.finetune, cell.sources["train"]
        return cell.trained(
            method,
            lambda loop: labelled_subsets(cell.probed(), labelled, cell.train, tuning, loop, drawn=drawn),
        )

    return row


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
    return {**ROWS, "finetune_everything": lambda cell: _finetune(cell, "finetune_everything", "everything")}


def run(config: Config, out: Path | str, progress: Stages = no_progress) -> Matrix:
    """Train every row for every M_T of `config`, and score each on every M_E; as `recipe.run`."""
    return recipe.run(config, out, progress, rows(config))
