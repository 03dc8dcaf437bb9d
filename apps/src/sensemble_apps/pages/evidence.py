"""Collect what a page is made of: a run with its bundle, or an experiment's matrices."""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sensemble_runtime import subsets
from sensemble_runtime.auditing.scores import METRICS
from sensemble_runtime.bundle.manifest import FILE_NAME, Manifest
from sensemble_runtime.bundle.manifest_file import read_manifest

from sensemble_apps.console import wording
from sensemble_apps.errors import InputError
from sensemble_apps.pages.experiment import Experiment
from sensemble_apps.pages.report import Evidence
from sensemble_apps.runs.audits import audits
from sensemble_apps.runs.matrices import as_fractions, read_matrices, read_unfinished
from sensemble_apps.runs.run_folder import BUNDLE, CONFIG, MATRIX, MODEL

_DATA = "data"  # where it lay is of the machine that trained: its name is in the title


def of_matrix(path: Path) -> Experiment:
    """Return the experiment that a matrix is on its own.

    Raises:
        InputError, MatrixError: there is no such matrix, or it is not of the form.
    """
    return Experiment(
        dataset=path.name,
        metric="score",
        pretrainings={path.stem: as_fractions(read_unfinished(path))},
        facts=(("Matrix", path.name), *_versions()),
    )


def of_experiment(folder: Path) -> Experiment:
    """Return the experiment of a run folder, or of a folder of such on one dataset, one a pretraining.

    Raises:
        InputError: there is no matrix, a `config.json` or `model.json` is not JSON, or the runs are of
            several datasets.
        MatrixError: a matrix is not of the form.
    """
    runs = [path.parent for path in sorted(folder.glob(f"*/{MATRIX}"))]
    if (folder / MATRIX).exists() or not runs:
        runs = [folder.resolve()]
    settings = {run.name: _settings(run / CONFIG) for run in runs}
    lines = settings[runs[0].name] if len(runs) == 1 else settings
    task = _settings(runs[0] / MODEL).get("task")
    return Experiment(
        dataset=_dataset(folder, runs),
        metric=next((metric for known, metric in METRICS.items() if known == task), "score"),
        pretrainings={
            pretraining: as_fractions(read_unfinished(run / MATRIX))
            for pretraining, run in zip(_pretrainings(runs), runs, strict=True)
        },
        facts=(*_lines(lines), *_versions()),
    )


def _dataset(folder: Path, runs: Sequence[Path]) -> str:
    """Return the name of what all runs were trained on; that of the folder, where none says.

    Raises:
        InputError: they were trained on several.
    """
    # Of two places, one may be the other's copy; of two sets of classes, neither is.
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        data = _settings(run / CONFIG).get(_DATA)
        if isinstance(data, str):
            classes = json.dumps(_settings(run / MODEL).get("labels"))
            found.setdefault((Path(data).name, classes), []).append(run.name)
    if len(found) > 1:
        told = "; ".join(f"{', '.join(some)} of {name}" for (name, _), some in found.items())
        raise InputError(
            f"{folder}: its runs are of several datasets ({told}); give one run, or a folder of the runs of "
            "one dataset"
        )
    return next((name for name, _ in found), folder.resolve().name)


def _pretrainings(runs: Sequence[Path]) -> list[str]:
    """Name each run by its pretraining, and by its folder where another has the same."""
    found = [_pretraining(run) for run in runs]
    return [
        name if found.count(name) == 1 else f"{wording.pretraining_title(name)} ({run.name})"
        for name, run in zip(found, runs, strict=True)
    ]


def _pretraining(run: Path) -> str:
    """Return a run's objective, or that of the run whose encoders it took; else the name of its folder."""
    settings = _settings(run / CONFIG)
    config = settings.get("pretrain")
    if not isinstance(config, dict) or "objective" not in config:
        return run.name
    begun = Path(settings.get("initialize") or "")
    if config.get("steps") or config.get("epochs") or not begun.name or begun.suffix:
        return str(config["objective"])
    # A folder: a saved model, in that of its run. The objective here was not used.
    return _pretraining(begun.parent) if (begun.parent / CONFIG).exists() else run.name


def of_run(run: Path) -> Evidence:
    """Return what a run folder holds: its matrix, its bundle and, where there was one, the bundle's audit.

    Raises:
        InputError: it has no matrix, or its `config.json` is not JSON.
        MatrixError, BundleError, RecordError: its matrix, its bundle's manifest or its audit cannot be used.
    """
    matrices = as_fractions(read_matrices(run / MATRIX))
    manifest = read_manifest(run / BUNDLE / FILE_NAME)
    found = audits(run)
    return Evidence(
        title=manifest.provenance.dataset,
        metric=METRICS[manifest.task],
        matrices=matrices,
        manifest=manifest,
        audited=found.scores,
        other_audits=found.others,
        facts=(*_provenance(manifest), *_lines(_settings(run / CONFIG)), *_versions()),
    )


def _settings(path: Path) -> dict[str, Any]:
    """Read a JSON object that a run may have; a run from elsewhere has none."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not the settings of a run, as a JSON object")
    return content


def _lines(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return settings as titles and texts; those without a value are left out."""
    return [
        (key.replace("_", " ").capitalize(), text)
        for key, value in settings.items()
        if key != _DATA and (text := _plain(value))
    ]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items() if key != _DATA)
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _provenance(manifest: Manifest) -> list[tuple[str, str]]:
    made = manifest.provenance
    return [
        ("Dataset", made.dataset),
        ("Classes", f"{len(manifest.labels)}, {manifest.task}"),
        ("Shipped method", wording.method_title(made.method)),
        ("Labelled modalities", subsets.name(made.train_modalities)),
        ("Exported", made.created),
    ]


def _versions() -> list[tuple[str, str]]:
    packages = []
    for name in ("sensemble-apps", "executorch", "torch"):
        with suppress(PackageNotFoundError):  # a board has no torch
            packages.append(f"{name} {version(name)}")
    return [("Versions", ", ".join([*packages, f"Python {platform.python_version()}"]))]
