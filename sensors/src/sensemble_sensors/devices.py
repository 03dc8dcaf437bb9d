"""Which cameras and microphones this machine has, and the libraries that reach them.

OpenCV and PortAudio are loaded when they are first asked for: a process that uses neither stays small, and a
missing one is an error only to who needs it.
"""

import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sensemble_sensors.errors import SensorUnavailableError

_PROBED = 4  # how many camera numbers are tried where the system has no list of them


@dataclass(frozen=True, slots=True)
class Device:
    """A camera or a microphone: `id` is what `Camera` or `Microphone` takes, `name` is for people."""

    id: str
    name: str


def cameras() -> list[Device]:
    """Return the cameras, in the order of their numbers.

    Raises:
        SensorUnavailableError: OpenCV cannot be loaded; says what to install.
    """
    cv2 = opencv()
    listed = Path("/sys/class/video4linux")
    if not Path("/sys").is_dir():
        numbers = [number for number in range(_PROBED) if cv2.VideoCapture(number).isOpened()]
        return [Device(str(number), f"camera {number}") for number in numbers]
    # A camera has several nodes; the first one, of index 0, gives pictures, the others metadata.
    nodes = [node for node in listed.glob("video*") if (node / "index").read_text().strip() == "0"]
    found = {int(node.name.removeprefix("video")): (node / "name").read_text().strip() for node in nodes}
    return [Device(str(number), name) for number, name in sorted(found.items())]


def microphones() -> list[Device]:
    """Return the sound devices that have an input.

    Raises:
        SensorUnavailableError: PortAudio is missing; says what to install.
    """
    devices = portaudio().query_devices()
    return [Device(str(d["index"]), str(d["name"])) for d in devices if d["max_input_channels"] > 0]


def opencv() -> ModuleType:
    """Return OpenCV, which from now on writes nothing to standard error.

    Raises:
        SensorUnavailableError: it cannot be loaded; says what to install.
    """
    # Its FFmpeg reads this when it first opens something; -8 is AV_LOG_QUIET.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        cv2 = import_module("cv2")
    except ImportError as error:
        raise SensorUnavailableError(
            f"OpenCV cannot be loaded ({error}); `apt-get install libgl1 libglib2.0-0`, "
            "or put opencv-python-headless in the place of opencv-python"
        ) from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


def portaudio() -> ModuleType:
    """Return the `sounddevice` library, which loads PortAudio.

    Raises:
        SensorUnavailableError: PortAudio is missing; says what to install.
    """
    try:
        return import_module("sounddevice")
    except OSError as error:
        raise SensorUnavailableError(
            f"PortAudio cannot be loaded ({error}); install it by `apt-get install libportaudio2` "
            "(Debian, Ubuntu) or `brew install portaudio` (macOS)"
        ) from error
