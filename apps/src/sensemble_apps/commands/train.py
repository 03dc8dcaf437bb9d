"""`sensemble train`: train the model that ships, into a run folder."""

import json
import math
import re
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from sensemble_runtime import subsets
from sensemble_sensors.media.dataset import Dataset, read_dataset

from sensemble_apps.commands.data import digits
from sensemble_apps.console import estimates
from sensemble_apps.console.columns import table
from sensemble_apps.console.output import check_writable, remark, say, say_json
from sensemble_apps.console.progress import progress, stages
from sensemble_apps.errors import InputError
from sensemble_apps.options import OptionalFolder, Training
from sensemble_apps.tables.matrices import chance_warnings, most_robust
from sensemble_apps.tables.run_folder import BUNDLE, MATRIX, SELECTION

if TYPE_CHECKING:
    from sensemble_train.recipe.config import Config


@dataclass(frozen=True, kw_only=True)
class Train(Training):
    """Pretrain, train specialists and distil them into one model, and score every set of sensors.

    `sensemble train matrix EXPERIMENT` runs an experiment of the paper; every setting is an option.
    """

    teacher: OptionalFolder = None
    """A finished run folder: its large encoders teach small ones, which learn from scratch."""
    instant: bool = False
    """Only fit a linear head to pretrained encoders, in seconds, and write its `bundle/`. Two takes of two
    classes are enough."""
    estimate: bool = False
    """Do not train: say what the data is too small for, and how long each stage would take here."""
    json: bool = False
    """Print the progress, and then the result or the estimate, as one JSON object per line."""


def main(arguments: Train) -> None:
    """Train, and print the path of the matrix; or estimate the time."""
    if arguments.instant and arguments.teacher:
        raise InputError("--instant, --teacher: give one; an instant head is fitted to pretrained encoders")
    data = arguments.data or digits(arguments.seed)
    if arguments.estimate:
        _estimate(arguments, data)
        return
    check_writable(arguments.out)
    if arguments.instant:
        _instant(arguments, data)
        return
    train(arguments, data, teacher=arguments.teacher, in_json=arguments.json)
    matrix = str(arguments.out / MATRIX)
    say(json.dumps({"matrix": matrix}) if arguments.json else matrix)


def train(
    arguments: Training,
    data: Path,
    *,
    teacher: Path | None = None,
    in_json: bool = False,
) -> None:
    """Train on `data` what the run folder lacks, and warn of sensors that stay at chance."""
    dataset = _readable(data)
    from sensemble_train.recipe import recipe

    with stages(in_json=in_json) as advance:
        config = _config(arguments, data, dataset, teacher)
        _say_encoders(config, dataset)
        recipe.run(config, arguments.out, advance, dataset)
    for line in chance_warnings(arguments.out / MATRIX):
        remark(f"warning: {line}")


def _readable(data: Path) -> Dataset:
    """Return a dataset that can be trained on, before torch is loaded, which takes seconds."""
    from sensemble_train.data.trainable import check_trainable

    dataset = read_dataset(data)
    check_trainable(dataset)
    return dataset


def labelled_set(arguments: Training, dataset: Dataset) -> str:
    """Return M_T: the one asked for, or the modalities of most labelled examples."""
    if arguments.train_modalities is not None:
        return arguments.train_modalities
    from sensemble_train.data.trainable import most_labelled

    return subsets.name(most_labelled(dataset)) or "all"


def _instant(arguments: Train, data: Path) -> None:
    """Fit an instant head, write its bundle, and print how often it is right about takes left out."""
    dataset = read_dataset(data)  # before torch is loaded, which takes seconds
    from sensemble_export import export_instant
    from sensemble_train import instant

    encoders, bundle = _encoders(arguments, dataset), arguments.out / BUNDLE
    for m in dataset.modalities:
        if m not in encoders:
            remark(f"warning: {m}: left out, because no pretrained encoder reads it; name one by --encoder")
    with stages(in_json=arguments.json) as advance:
        head = instant(data, encoders, advance)
        manifest = export_instant(head, bundle, data.resolve().name, partial(advance, "export"))
    if arguments.json:
        say_json({"bundle": str(bundle), "left_out": {s: asdict(x) for s, x in manifest.audited.items()}})
        return
    for subset, score in manifest.audited.items():
        say(f"{subset}: right about {estimates.in_words(score.accuracy, score)} of takes left out")
    say(str(bundle))


def training_time(arguments: Training, data: Path) -> float:
    """Return the seconds that the training of a demo will take, by a few steps of each stage."""
    dataset = _readable(data)
    from sensemble_train.recipe.estimate import estimate

    with progress("Measuring a few steps") as advance:
        timed = estimate(_config(arguments, data, dataset, None), lambda _, *done: advance(*done), dataset)
    return sum(stage.seconds for stage in timed)


def _estimate(arguments: Train, data: Path) -> None:
    dataset = _readable(data)
    from sensemble_train.recipe.estimate import estimate

    config = _config(arguments, data, dataset, arguments.teacher)
    _say_encoders(config, dataset)
    with stages(in_json=arguments.json) as advance:
        timed = estimate(config, advance, dataset)
    total = sum(stage.seconds for stage in timed)
    if arguments.json:
        each = {stage.name: round(stage.seconds, 1) for stage in timed}
        say_json({"seconds": round(total, 1), "stages": each})
        return
    columns = ("steps or examples", "seconds each", "time")
    drawn = table(("stage",), columns, "How long it will take on this machine")
    for stage in timed:
        drawn.add_row(stage.name, str(stage.steps), f"{stage.step_seconds:.3f}", duration(stage.seconds))
    drawn.add_row("all", "", "", duration(total), style="bold")
    Console().print(drawn)


def duration(seconds: float) -> str:
    """Write a time as hours, minutes and whole seconds, rounded up."""
    return str(timedelta(seconds=math.ceil(seconds)))


def encoder_choice(choice: str) -> tuple[str, str]:
    """Return the modality and the source of one `--encoder`."""
    modality, _, source = choice.partition("=")
    if not source:
        raise InputError(f"--encoder {choice}: give MODALITY=SOURCE, such as audio=whisper-tiny.en")
    return modality, source


def _unfrozen(choice: str) -> tuple[str, int]:
    modality, _, blocks = choice.partition("=")
    if not re.fullmatch("all|[1-9][0-9]{0,2}", blocks):
        raise InputError(f"--unfreeze {choice}: write MODALITY=BLOCKS, such as text=2 or text=all")
    return modality, -1 if blocks == "all" else int(blocks)


def _encoders(arguments: Training, dataset: Dataset) -> dict[str, str]:
    from sensemble_train.models.infer_spec import installed

    encoders = {} if arguments.from_scratch else installed(dataset)
    return encoders | dict(map(encoder_choice, arguments.encoder))


def _say_encoders(config: "Config", dataset: Dataset) -> None:
    named = (f"{m} {config.encoders.get(m, 'from scratch')}" for m in dataset.modalities)
    remark("encoders: " + ", ".join(named))


def _config(arguments: Training, data: Path, dataset: Dataset, teacher: Path | None) -> "Config":
    from sensemble_train.recipe.config import Config, derived
    from sensemble_train.recipe.run_folder import cell

    small = arguments.from_scratch or teacher is not None
    encoders = _encoders(replace(arguments, from_scratch=small), dataset)
    config = Config(
        str(data.resolve()),
        (labelled_set(arguments, dataset),),
        arguments.seed,
        encoders=encoders,
        unfrozen=dict(map(_unfrozen, arguments.unfreeze)),
        teacher=str(cell(teacher, *most_robust(teacher / SELECTION)).resolve()) if teacher else "",
    )
    return derived(config, dataset, arguments.effort)
