"""`sensemble export`: a trained model of a run, quantized and lowered into the run's bundle."""

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sensemble_export.bundle import export_bundle
from sensemble_export.lowering import FILE_NAME, describe_lowering
from sensemble_runtime import subsets
from sensemble_runtime.subsets import Subset
from sensemble_sensors.dataset import Example, read_dataset
from sensemble_train.data import Clips, decode
from sensemble_train.model import Model, load_model

from sensemble_apps.arguments import Export
from sensemble_apps.errors import InputError
from sensemble_apps.matrices import most_robust
from sensemble_apps.output import say
from sensemble_apps.progress import stages
from sensemble_apps.runfolder import BUNDLE, CONFIG, MATRIX, MODELS

_CALIBRATION, _HELD_OUT = 200, 400  # examples that int8 takes its ranges from, and that it is measured on


def main(arguments: Export) -> None:
    """Export, and print where the bundle is.

    Raises:
        InputError, MatrixError, CheckpointError, BadDataError, ExportError: the run cannot be exported.
    """
    train = subsets.parse(arguments.train_modalities) if arguments.train_modalities else None
    export(arguments.run, arguments.method, train or most_robust(arguments.run / MATRIX, arguments.method))
    say(str(arguments.run / BUNDLE))


def export(run: Path, method: str, train: Subset) -> None:
    """Export the model of one method and M_T into the run's bundle, with progress bars.

    Raises:
        InputError, CheckpointError, BadDataError, ExportError: as `main`.
    """
    folder = run / MODELS / method / subsets.name(train)
    if not folder.is_dir():
        raise InputError(f"{folder}: not trained; `sensemble train --train-modalities {subsets.name(train)}`")
    model = load_model(folder)
    data = _data(run)
    dataset = read_dataset(data)
    with stages() as advance:
        decoded = partial(_decode, model, partial(advance, "decode"))
        calibration = decoded(dataset.split("train")[:_CALIBRATION])
        export_bundle(
            model,
            run / BUNDLE,
            calibration={m: rows[calibration.present[m]] for m, rows in calibration.inputs.items()},
            held_out=decoded(dataset.split("eval")[:_HELD_OUT]),
            train_modalities=train,
            method=method,
            dataset=data.name,
            progress=partial(advance, "export"),
        )
    for line in describe_lowering(run / BUNDLE / FILE_NAME):
        sys.stderr.write(line + "\n")


def _data(run: Path) -> Path:
    """Return the dataset that the run was trained on, as its configuration names it."""
    try:
        return Path(json.loads((run / CONFIG).read_text(encoding="utf-8"))["data"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{run / CONFIG}: does not name the run's data ({error}); train the run again"
        ) from error


def _decode(model: Model, advance: Callable[[int, int], None], examples: Sequence[Example]) -> Clips:
    what = model.description
    return decode(examples, what.specs, model.tokenizer, what.labels, what.task, advance)
