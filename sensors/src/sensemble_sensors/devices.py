"""Which cameras and microphones this machine has, and the libraries that reach them.

OpenCV and PortAudio are loaded when they are first asked for: a process that uses neither stays small, and a
missing one is an error only to who needs it.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sensemble_sensors.errors import SensorUnavailableError

_PROBED = 4  # how many camera numbers are tried where the system has no list of them
_LISTED = Path("/sys/class/video4linux")
_LINKS = (Path("/dev/v4l/by-id"), Path("/dev/v4l/by-path"))
_PATIENCE = 15.0  # seconds that a process may take to list the microphones


@dataclass(frozen=True, slots=True)
class Device:
    """Something that a sensor can be opened on.

    Attributes:
        modality: of what it gives.
        id: what `Camera` or `Microphone` takes, as long as nothing is plugged or unplugged.
        name: for people.
        key: what `Camera`, `Microphone` or `Captions` takes, the same whenever the device is plugged in.
    """

    modality: str
    id: str
    name: str
    key: str


def cameras() -> list[Device]:
    """Return the cameras, in the order of their numbers.

    Raises:
        SensorUnavailableError: OpenCV cannot be loaded; says what to install.
    """
    cv2 = opencv()
    if not Path("/sys").is_dir():
        numbers = [number for number in range(_PROBED) if cv2.VideoCapture(number).isOpened()]
        return [Device("video", str(number), f"camera {number}", str(number)) for number in numbers]
    # A camera has several nodes; the first one, of index 0, gives pictures, the others metadata.
    found: dict[int, str] = {}
    for node in _LISTED.glob("video*"):
        with suppress(OSError):  # unplugged since it was listed
            if (node / "index").read_text().strip() == "0":
                found[int(node.name.removeprefix("video"))] = (node / "name").read_text().strip()
    links = {link.resolve().name: str(link) for folder in reversed(_LINKS) for link in folder.glob("*")}
    return [
        Device("video", str(number), name, links.get(f"video{number}", str(number)))
        for number, name in sorted(found.items())
    ]


def microphones() -> list[Device]:
    """Return the sound devices that have an input.

    Raises:
        SensorUnavailableError: PortAudio is missing; says what to install.
    """
    found = [device for device in portaudio().query_devices() if device["max_input_channels"] > 0]
    names = Counter(str(device["name"]) for device in found)
    return [
        # PortAudio's numbers change whenever something is plugged in; a name that two have is no name.
        Device("audio", number, name, name if names[name] == 1 else number)
        for number, name in ((str(device["index"]), str(device["name"])) for device in found)
    ]


def microphones_afresh() -> list[Device]:
    """Return the sound devices that have an input now, listed by a process of its own.

    PortAudio looks for devices only when it starts, and starting it again would stop what is open here.

    Raises:
        SensorUnavailableError: PortAudio is missing, or does not answer; says what to do.
    """
    command = [sys.executable, "-P", "-m", "sensemble_sensors.devices"]
    try:
        listing = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True)
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise SensorUnavailableError(
            reason or f"the list of microphones ended with status {error.returncode}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SensorUnavailableError(f"PortAudio does not list its devices in {_PATIENCE:g} s") from error
    return [Device(**fields) for fields in json.loads(listing.stdout)]


def without_user(source: str) -> str:
    """Return an address without the user and the password that it may hold; anything else as it is."""
    return re.sub(r"(?<=://)[^/?#]*@", "", source)


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


if __name__ == "__main__":
    try:
        json.dump([asdict(device) for device in microphones()], sys.stdout)
    except SensorUnavailableError as error:
        sys.exit(str(error))
