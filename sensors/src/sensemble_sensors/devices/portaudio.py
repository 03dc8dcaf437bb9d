"""PortAudio, loaded on first use and started by one process at a time.

On Linux, PortAudio first asks for a JACK server. JACK 2's library then opens a Berkeley DB in shared memory,
whose locks outlive a process: if one is killed in that moment, every later start of PortAudio by the same
user waits forever. So our processes start it in turn, and each first removes the locks of the dead.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType

from sensemble_sensors.errors import SensorUnavailableError

_SHARED = Path("/dev/shm")  # noqa: S108 (JACK's choice)
_PATIENCE = 5.0  # seconds that a start waits for another one, which may hang
_GLANCE = 0.01  # seconds between two looks


def portaudio() -> ModuleType:
    """Return the `sounddevice` library, PortAudio started; SensorUnavailableError says what to install."""
    # Opens sound cards by ALSA's plughw, which converts to any rate.
    os.environ.setdefault("PA_ALSA_PLUGHW", "1")
    if "sounddevice" in sys.modules:
        return import_module("sounddevice")
    try:
        with _in_turn():
            return import_module("sounddevice")
    except (ImportError, OSError) as error:
        raise SensorUnavailableError(
            f"PortAudio cannot be loaded ({error}); `pip install 'sensemble-sensors[microphone]'` and "
            "`apt-get install libportaudio2` (Debian, Ubuntu) or `brew install portaudio` (macOS)"
        ) from error


def restart() -> None:
    """Restart PortAudio, which looks for devices only when it starts; no stream may be open."""
    library = portaudio()
    with _in_turn():
        library._terminate()  # noqa: SLF001
        library._initialize()  # noqa: SLF001


@contextmanager
def _in_turn() -> Iterator[None]:
    """Start PortAudio in the context, alone as far as possible, and without the locks of dead processes."""
    folder = _SHARED / f"jack_db-{os.getuid()}"
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # no JACK, or its very first start here, which is not alone
        yield
        return
    try:
        if os.fstat(held).st_uid == os.getuid() and _locked(held) and not is_used(folder):
            _remove_locks(held)
        yield
    finally:
        os.close(held)


def _remove_locks(folder: int) -> None:
    """Remove the database's locks and its cache; the data are in another file."""
    for name in os.listdir(folder):  # by its descriptor, whatever its name means by now
        if name.startswith("__db."):
            with suppress(OSError):  # gone already, or not to be removed
                os.unlink(name, dir_fd=folder)


def _locked(folder: int) -> bool:
    """Return whether the folder could be locked in time; the system unlocks it if this process is killed."""
    until = monotonic() + _PATIENCE
    while monotonic() < until:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sleep(_GLANCE)
        except OSError:
            return False
        else:
            return True
    return False


def is_used(folder: Path) -> bool:
    """Return whether a process has mapped the present locks: a JACK server, or one that starts PortAudio."""
    name = os.fsencode(folder / "__db.")
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # it has ended, or belongs to another user, who cannot open the folder
            if any(
                name in line and not line.endswith(b"(deleted)") for line in maps.read_bytes().splitlines()
            ):
                return True
    return False
