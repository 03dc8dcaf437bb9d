"""Find this machine's cameras, and its microphones: the sources of a sound server and PortAudio's inputs."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from types import ModuleType

from sensemble_sensors.devices import pulse
from sensemble_sensors.devices.portaudio import portaudio
from sensemble_sensors.errors import SensorUnavailableError

_SYS = Path("/sys")
_CAMERAS = (Path("/dev/v4l/by-id"), Path("/dev/v4l/by-path"))
_CONTROLS = Path("/dev/snd")
_SOUND_CARDS = (Path("/dev/snd/by-id"), Path("/dev/snd/by-path"))
_PATIENCE = 15.0  # seconds that a process may take to list devices
_GLANCE = 0.1  # seconds after which a search notices that it is no longer wanted
_NEVER = Event()

# An input of a sound card, as PortAudio names it on ALSA.
_CARD = re.compile(r"(?P<name>.*?) ?\((plug)?hw:(?P<card>\d+),(?P<input>\d+)\)")
# The names that alsa-lib, its plugins and the sound servers bring along (/usr/share/alsa).
_ALIAS = re.compile(
    r"default|sysdefault|pulse|pipewire|jack|oss|null|front|rear|side|center_lfe|surround\d+|iec958|spdif|hdmi|"
    r"modem|phoneline|dmix|dsnoop|a52|arcam_av|usbstream|lavrate|samplerate.*|speex.*|upmix|vdownmix"
)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a sensor can open.

    Attributes:
        modality: of its samples.
        id: an argument of `Camera` or `Microphone`, valid until something is plugged in or unplugged.
        name: for people.
        key: an argument of `Camera`, `Microphone` or `Captions`, the same each time the device is plugged in,
            as far as the system can tell it from others.
    """

    modality: str
    id: str
    name: str
    key: str


def cameras(stop: Event = _NEVER) -> list[Device]:  # noqa: ARG001 - a `Finder`
    """Return the cameras in the order of their numbers, as Linux lists them.

    Raises SensorUnavailableError elsewhere.
    """
    if not _SYS.is_dir():
        raise SensorUnavailableError("cameras are listed on Linux alone; name one by its number, as 0")
    # A camera has several nodes; the first one, of index 0, gives pictures, the others metadata.
    names: dict[int, str] = {}
    for node in (_SYS / "class" / "video4linux").glob("video*"):
        with suppress(OSError):  # unplugged since it was listed
            if (node / "index").read_text().strip() == "0":
                names[int(node.name.removeprefix("video"))] = (node / "name").read_text().strip()
    links = _links(_CAMERAS)
    return [
        Device("video", str(number), name, links.get(f"video{number}", str(number)))
        for number, name in sorted(names.items())
    ]


def microphones() -> list[Device]:
    """Return all that `Microphone` takes: a sound server's sources and PortAudio's inputs, some twice."""
    return [*map(source_device, pulse.sources() or ()), *portaudio_inputs(portaudio())]


def source_device(source: pulse.Source) -> Device:
    """Return a source of the sound server as a device."""
    return Device("audio", source.name, source.description, source.name)


def portaudio_inputs(library: ModuleType) -> list[Device]:
    """Return the inputs that PortAudio's `library` lists, on Linux by ALSA's names."""
    inputs = [device for device in library.query_devices() if device["max_input_channels"] > 0]
    numbers = [str(device["index"]) for device in inputs]
    names = [str(device["name"]) for device in inputs]
    links = _links(_SOUND_CARDS)
    keys = [_microphone_key(name, links) for name in names]
    # Keys must be unique; the number is the last resort, because it changes when anything is plugged in.
    keys = [key if keys.count(key) == 1 else name for key, name in zip(keys, names, strict=True)]
    keys = [key if keys.count(key) == 1 else number for key, number in zip(keys, numbers, strict=True)]
    return [Device("audio", *fields) for fields in zip(numbers, names, keys, strict=True)]


def distinct_inputs(inputs: Sequence[Device]) -> list[Device]:
    """Return each microphone among PortAudio's inputs once.

    They are the inputs of sound cards and the names in the user's ALSA configuration; ALSA's own names lead
    to one of these or to a sound server. Without any, the default is left.
    """
    own = [device for device in inputs if not _ALIAS.fullmatch(device.name)]
    return own or [device for device in inputs if device.name == "default"]


def watched_microphones(stop: Event = _NEVER) -> list[Device]:
    """Return the microphones that a watch attaches: those of the sound server, or else of PortAudio.

    A server holds the sound cards; listing both would capture each card twice. Setting `stop` ends the
    search. Raises SensorUnavailableError if PortAudio is missing, or it or the server does not answer.
    """
    served = pulse.sources()
    if served is not None:
        return [source_device(source) for source in served if source.microphone]
    return distinct_inputs(fresh_microphones(stop))


def fresh_microphones(stop: Event = _NEVER) -> list[Device]:
    """Return the present `microphones`, listed by a separate process; raises as `watched_microphones`."""
    # PortAudio looks for devices only when it starts, and a restart would stop this process's streams.
    command = [sys.executable, "-P", "-m", "sensemble_sensors.devices.discovery"]
    until = monotonic() + _PATIENCE
    pipe = subprocess.PIPE
    # Its own session: Ctrl-C in the terminal must reach only the process that started this one.
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, start_new_session=True) as helper:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    listing, errors = helper.communicate(timeout=_GLANCE)
                    break
                if stop.is_set():
                    raise SensorUnavailableError("the list of microphones is no longer wanted")
                if monotonic() > until:
                    raise SensorUnavailableError(f"the microphones are not listed in {_PATIENCE:g} s")
        finally:
            helper.kill()
    if helper.returncode:
        reason = errors.decode(errors="replace").strip().rpartition("\n")[2]
        status = f"the list of microphones ended with status {helper.returncode}"
        raise SensorUnavailableError(reason or status)
    return [Device(**fields) for fields in json.loads(listing)]


def is_gone(device: Device) -> bool:
    """Return whether a device that is no longer listed is really gone."""
    # PortAudio does not list a sound card that is in use (its issues 891 and 1150), and `distinct_inputs`
    # leaves out the default when there is another device.
    card = _CARD.fullmatch(device.name)
    if card is not None:
        return not (_CONTROLS / f"controlC{card['card']}").exists()
    return device.name != "default"


def _links(folders: Sequence[Path]) -> dict[str, str]:
    """Return the stable link to each device node by the node's name, of the first folder that has one."""
    return {link.resolve().name: str(link) for folder in reversed(folders) for link in folder.glob("*")}


def _microphone_key(name: str, links: Mapping[str, str]) -> str:
    """Return the key of a sound card's input without the card's number, which depends on plugging order."""
    card = _CARD.fullmatch(name)
    if card is None:
        return name
    link = links.get(f"controlC{card['card']}")
    if link is None:
        return card["name"]
    return link if card["input"] == "0" else f"{link},{card['input']}"


def without_credentials(source: str) -> str:
    """Return an address without user and password; any other text unchanged."""
    return re.sub(r"(?<=://)[^/?#]*@", "", source)


if __name__ == "__main__":
    try:
        json.dump([asdict(device) for device in microphones()], sys.stdout)
    except SensorUnavailableError as error:
        sys.exit(str(error))
