"""Load what is installed, on first use: OpenCV, which takes 30 MB, and the parts of other packages."""

import os
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from sensemble_sensors.errors import SensembleError, SensorUnavailableError, text_of


def opencv() -> ModuleType:
    """Return OpenCV, silenced; raise SensorUnavailableError, which says what to install, if it is missing."""
    # Its FFmpeg reads this at the first file; -8 is AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        cv2 = import_module("cv2")
    except ImportError as error:
        raise SensorUnavailableError(
            f"OpenCV cannot be loaded ({error}); "
            "`pip install 'sensemble-sensors[camera]'`, without opencv-python"
        ) from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


def plugin(
    group: str,
    name: str,
    raised: type[SensembleError],
    part: Callable[[Any], Any] = lambda named: named,
    *,
    kind: type | None = None,
) -> Any | None:  # noqa: ANN401 - as the group says
    """Return the `part` of what a package names in a group of entry points; None without one.

    The part must be of a `kind`; by default, it must be callable. Raises `raised` if it cannot be loaded or
    made, or is of another kind.
    """
    from importlib.metadata import entry_points  # a tenth of what a short command imports

    for entry in entry_points(group=group, name=name):
        try:
            found = part(entry.load())
            if not (callable(found) if kind is None else isinstance(found, kind)):
                what = kind.__name__ if kind else "function"
                raise TypeError(f"it is no {what}")  # noqa: TRY301 - said as the others are
        except (Exception, SystemExit) as failure:  # some end the process where their library is missing
            raise raised(
                f"{group} {name}: {entry.value} cannot be loaded ({type(failure).__name__}: "
                f"{text_of(failure)}); install its package again"
            ) from failure
        return found
    return None
