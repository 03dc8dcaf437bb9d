"""The paths in a run folder (see `docs/reference/run-folder.md`)."""

import json
from pathlib import Path
from typing import Any

from sensemble_sensors.errors import BadDataError
from sensemble_sensors.lines import Fields

from sensemble_apps.errors import InputError

CONFIG = "config.json"
MODEL = "pretrained/model.json"
MODELS = "models"
"""The trained models, by method and M_T."""
MATRIX = "matrix.json"
SELECTION = "matrix.calibrate.json"  # on the split calibrate; M_T is chosen by it
BUNDLE = "bundle"
AUDIT = "audit.sqlite"
PAGE = "report.html"
COMPARISON = "experiment.html"  # of methods and training sets, where a run has several
SESSION = "session.json"
"""The costs of a replay in real time (`run --summary`)."""
EVALUATED = "eval"
"""The split for reporting; training and export choose nothing by it."""
_REMEDY = "give a run, a folder that `sensemble train` or `sensemble demo` wrote"


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of a run; InputError if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}); {_REMEDY}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object; {_REMEDY}")
    return content


def bundle_title(bundle: Path) -> str:
    """Return the name of a bundle: that of its run's folder, after that of the project for a studio's run."""
    parts = [part for part in bundle.resolve().parts if part not in (BUNDLE, "runs")]
    return "/".join(parts[-2:] if parts[-1].isdigit() or parts[-1] == "instant" else parts[-1:])


def data_of(bundle: Path) -> Path | None:
    """Return the dataset that the run folder around a bundle names; None without one."""
    try:
        return Path(Fields((bundle.resolve().parent / CONFIG).read_bytes()).string("data"))
    except (OSError, BadDataError):
        return None
