"""Collect what a report is made of, from a run folder or from a matrix alone."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

from sensemble_runtime import subsets
from sensemble_runtime.manifest import FILE_NAME, Manifest, read_manifest
from sensemble_runtime.scores import METRICS

from sensemble_apps import names
from sensemble_apps.errors import InputError
from sensemble_apps.matrices import as_fractions, read_matrices
from sensemble_apps.report import Evidence
from sensemble_apps.runfolder import BUNDLE, CONFIG, MATRIX, audited


def of_matrix(path: Path) -> Evidence:
    """Return what a matrix says on its own.

    Raises:
        InputError, MatrixError: there is no such matrix, or it is not of the form.
    """
    return Evidence(
        title=path.name,
        metric="score",
        matrices=as_fractions(read_matrices(path)),
        manifest=None,
        audited={},
        facts=(("Matrix", path.name), *_versions()),
    )


def of_run(run: Path) -> Evidence:
    """Return what a run folder holds: its matrix and, where they are, its bundle and the bundle's audit.

    Raises:
        InputError: it has no matrix, or its `config.json` is not JSON.
        MatrixError, BundleError, RecordError: its matrix, its bundle's manifest or its audit cannot be used.
    """
    matrices = as_fractions(read_matrices(run / MATRIX))
    manifest = read_manifest(run / BUNDLE / FILE_NAME) if (run / BUNDLE).exists() else None
    config = _config(run / CONFIG)
    return Evidence(
        title=manifest.provenance.dataset if manifest else run.name,
        metric=METRICS[manifest.task] if manifest else "score",
        matrices=matrices,
        manifest=manifest,
        audited=audited(run),
        facts=(*_provenance(manifest), *config, *_versions()),
    )


def _config(path: Path) -> list[tuple[str, str]]:
    """Return the run's settings as lines for a reader; a run from elsewhere may have none."""
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not the settings of a run, as a JSON object")
    # Where the data lay is of the machine that trained; the bundle has its name.
    settings = {key: value for key, value in content.items() if key != "data"}
    return [(key.replace("_", " ").capitalize(), _plain(value)) for key, value in settings.items()]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def _provenance(manifest: Manifest | None) -> list[tuple[str, str]]:
    if manifest is None:
        return []
    made = manifest.provenance
    return [
        ("Dataset", made.dataset),
        ("Classes", f"{len(manifest.labels)}, {manifest.task}"),
        ("Shipped method", names.method_title(made.method)),
        ("Labelled modalities", subsets.name(made.train_modalities)),
        ("Exported", made.created),
    ]


def _versions() -> list[tuple[str, str]]:
    packages = [f"{name} {version(name)}" for name in ("sensemble-apps", "executorch", "torch")]
    return [("Versions", ", ".join([*packages, f"Python {platform.python_version()}"]))]
