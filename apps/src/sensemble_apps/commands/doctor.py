"""`sensemble doctor`: list what this machine has, and what to install for the rest."""

import importlib
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from threading import Event

from sensemble_runtime.executors import executor
from sensemble_sensors.clock import REAL
from sensemble_sensors.devices import discovery
from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.registry import finders
from sensemble_sensors.devices.watcher import Appeared, DeviceEvent, Disappeared, SearchFailed, Watcher
from sensemble_sensors.errors import SensorUnavailableError, text_of
from sensemble_sensors.libraries import opencv

from sensemble_apps.console.output import say
from sensemble_apps.console.wording import sensor_title
from sensemble_apps.errors import until_stopped
from sensemble_apps.options import Common
from sensemble_apps.running.inputs import FORM


@dataclass(frozen=True, kw_only=True)
class Doctor(Common):
    """List what this machine has, and what to install for the rest."""

    watch: bool = False
    """Then print cameras and microphones as they come and go, until Ctrl-C."""


def main(arguments: Doctor) -> None:
    """Print a line per finding and, with `--watch`, one per device that comes or goes."""
    for name, examine in _EXAMINED.items():
        try:
            _say("ok", name, examine())
        except (SensorUnavailableError, _MissingError) as missing:
            _say("missing", name, str(missing))
    if arguments.watch:
        began, search = REAL.now(), finders(FORM.values())
        with until_stopped(), Watcher(search, lambda event: say(_line(event, REAL.now() - began))):
            Event().wait()


def _say(state: str, name: str, text: str) -> None:
    say(f"{state:<8} {name:<12} {text}")


def _line(event: DeviceEvent, time: float) -> str:
    match event:
        case SearchFailed(reason):
            return f"{time:8.2f} s  blind        {reason}"
        case Appeared(device) | Disappeared(device):
            what = "appeared" if isinstance(event, Appeared) else "disappeared"
            return f"{time:8.2f} s  {what:<12} {sensor_title(device.modality)} {device.key}: {device.name}"


class _MissingError(Exception):
    """Its text says how to get what is missing."""


def _python() -> str:
    return f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"


def _executors() -> str:
    reasons = {target: executor.missing(target) or _failure(target) for target in executor.known()}
    lacking = "; ".join(f"{target} {why}" for target, why in reasons.items() if why)
    if all(reasons.values()):
        raise _MissingError(lacking)
    ready = ", ".join(target for target, why in reasons.items() if not why)
    return f"{ready}; {lacking}" if lacking else ready


def _failure(target: str) -> str:
    """Return why an installed executor cannot be loaded, to be read after its name; empty if it can."""
    found = executor.executor_of(target)
    assert found is not None  # noqa: S101 - nothing of it is missing
    try:
        importlib.import_module(found.encoder[0])
    except Exception as error:  # noqa: BLE001 - whatever its library raises
        return f"cannot be loaded ({text_of(error)}): {found.remedy}"
    return ""


def _cameras() -> str:
    opencv()  # listing cameras may not need it, but opening one does
    return _listed(discovery.cameras(), "plug one in, or give --camera a URL or a video file")


def _microphones() -> str:
    return _listed(discovery.fresh_microphones(), "plug one in, or run a replay")


def _listed(devices: Sequence[Device], remedy: str) -> str:
    if not devices:
        raise _MissingError(f"none is connected; {remedy}")
    return ", ".join(f"{device.id}: {device.name}" for device in devices)


def _installed() -> str:
    packages = list(distributions())
    return f"{len(packages)} packages, {sum(map(_megabytes, packages)):.0f} MB"


def _megabytes(package: Distribution) -> float:
    paths = (Path(str(file.locate())) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def _package(package: str, remedy: str) -> str:
    try:
        installed = distribution(package)
    except PackageNotFoundError as error:
        raise _MissingError(f"{package} is not installed; {remedy}") from error
    return f"{package} {installed.version}, {_megabytes(installed):.0f} MB"


def _extra(name: str, package: str) -> Callable[[], str]:
    return lambda: _package(package, f"`pip install 'sensemble-apps[{name}]'`")


def _speech() -> str:
    """Look for eSpeak NG and SVOX Pico, which speak the embedded digits."""
    remedy = "`pip install espeakng-loader ttspico` (only needed to build the digits)"
    return f"{_package('espeakng-loader', remedy)}, {_package('ttspico', remedy)}"


_EXAMINED = {
    "python": _python,
    "installed": _installed,
    "executors": _executors,
    "cameras": _cameras,
    "microphones": _microphones,
    "media": _extra("media", "av"),
    "captions": _extra("text", "tokenizers"),
    "pages": _extra("report", "matplotlib"),
    "server": _extra("serve", "starlette"),
    "training": _extra("train", "torch"),
    "speech": _speech,
}
