"""Load OpenCV on first use.

A process that does not need it stays small, and where it is missing, that is an error only where it is used.
"""

import os
from importlib import import_module
from types import ModuleType

from sensemble_sensors.errors import SensorUnavailableError


def opencv() -> ModuleType:
    """Return OpenCV, silenced: it writes nothing to standard error.

    Raises:
        SensorUnavailableError: it cannot be loaded; says what to install.
    """
    # Its FFmpeg reads this at the first file; -8 is AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        cv2 = import_module("cv2")
    except ImportError as error:
        raise SensorUnavailableError(
            f"OpenCV cannot be loaded ({error}); install opencv-python-headless, without opencv-python"
        ) from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2
