"""Load OpenCV on first use: it takes 30 MB, and its absence matters only where it is used."""

import os
from importlib import import_module
from types import ModuleType

from sensemble_sensors.errors import SensorUnavailableError


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
