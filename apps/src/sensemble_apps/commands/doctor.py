"""`sensemble doctor`: list what this machine has, and what to install for the rest."""

import importlib
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Annotated

from sensemble_runtime.executors import executor
from sensemble_sensors.devices import discovery
from sensemble_sensors.devices.discovery import Device, without_credentials
from sensemble_sensors.devices.watcher import Appeared, DeviceEvent, Disappeared, SearchFailed, Watcher
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.libraries import opencv
from sensemble_sensors.spec import MODALITIES

from sensemble_apps.arguments import OptionalFolder, Positional, Texts, Trusting
from sensemble_apps.console.output import say
from sensemble_apps.console.wording import sensor_title
from sensemble_apps.errors import Ended, InputError
from sensemble_apps.running.device_factory import finders, returning


@dataclass(frozen=True)
class Finding:
    """A result of the examination: `text` describes what was found, or how to get what is missing."""

    name: str
    found: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Doctor(Trusting):
    """List what this machine has, and what to install for the rest."""

    bundle: Positional[Annotated[Path | None, "BUNDLE"]] = None
    """A bundle folder, for `--hear`."""
    hear: OptionalFolder = None
    """Then play clips of this dataset on the loudspeaker, hear them on the microphone, and report whether the
    bundle answers as in an audit of the same clips, and what is likely wrong."""
    microphone: Annotated[str, "SOURCE"] = "default"
    """The microphone to hear with: its number or name."""
    split: Annotated[str, "NAME"] = "eval"
    """The split of the clips."""
    examples: Annotated[int, "N"] = 20
    """The number of clips to play."""
    watch: bool = False
    """Then print cameras and microphones as they come and go, until Ctrl-C."""
    camera: Annotated[Texts, "URL"] = ()
    """The URL of a camera to watch as well."""
    captions: Texts = ()
    """A caption file, pipe or local socket to watch as well."""


def main(arguments: Doctor) -> None:
    """Print one line per finding and then, with `--watch`, one line per device that comes or goes."""
    named = returning(arguments.camera, arguments.captions)
    if len(named) < len(arguments.camera + arguments.captions):
        raise InputError("--camera takes a URL and --captions a path; local devices are watched anyway")
    if named and not arguments.watch:
        raise InputError("--camera and --captions: only for --watch; add it, or leave them out")
    if (arguments.hear is None) != (arguments.bundle is None):
        raise InputError("--hear needs a bundle and a dataset: `sensemble doctor BUNDLE --hear FOLDER`")
    for finding in examine():
        _say(finding, "missing")
    if arguments.hear is not None and arguments.bundle is not None:
        from sensemble_apps.hearing import hear  # which needs a bundle's libraries

        given = arguments.split, arguments.examples, arguments.microphone, arguments.trust
        for name, well, text in hear(arguments.bundle, arguments.hear, *given):
            _say(Finding(name, well, text), "wrong")
    if arguments.watch:
        began = monotonic()
        with Watcher([*finders(MODALITIES), *named], lambda event: say(_line(event, monotonic() - began))):
            try:
                Event().wait()
            except KeyboardInterrupt as stop:
                raise Ended(*stop.args) from None


def _say(finding: Finding, otherwise: str) -> None:
    say(f"{'ok' if finding.found else otherwise:<8} {finding.name:<12} {finding.text}")


def _line(event: DeviceEvent, time: float) -> str:
    match event:
        case SearchFailed(reason):
            return f"{time:8.2f} s  blind        {reason}"
        case Appeared(device) | Disappeared(device):
            what = "appeared" if isinstance(event, Appeared) else "disappeared"
            key = without_credentials(device.key)
            return f"{time:8.2f} s  {what:<12} {sensor_title(device.modality)} {key}: {device.name}"


def examine() -> Iterator[Finding]:
    """Examine the interpreter, the executors, the devices and the packages; nothing heavy is imported."""
    cores = f"{os.cpu_count()} cores"
    yield Finding("python", found=True, text=f"{platform.python_version()}, {platform.machine()}, {cores}")
    yield _executors()
    yield _devices("cameras", _cameras, "plug one in, or give --camera a URL or a video file")
    yield _devices("microphones", discovery.fresh_microphones, "plug one in, or run a replay")
    yield _package("training", "torch")
    yield _package("export", "sensemble-export")
    yield _speech()


def _executors() -> Finding:
    try:
        importlib.import_module("sensemble_runtime.executors._native")
    except ImportError as error:
        remedy = executor.EXECUTORS["executorch-xnnpack"].remedy
        return Finding("executors", found=False, text=f"the native module does not load ({error}); {remedy}")
    found, lacking = (
        executor.available(),
        [f"{t} {why}" for t in executor.EXECUTORS if (why := executor.missing(t))],
    )
    text = (
        f"{', '.join(found)} (executorch {version('executorch')}){''.join(f'; {line}' for line in lacking)}"
    )
    return Finding("executors", found=True, text=text)


def _devices(name: str, find: Callable[[], Sequence[Device]], remedy: str) -> Finding:
    try:
        found = find()
    except SensorUnavailableError as error:
        return Finding(name, found=False, text=str(error))
    if not found:
        return Finding(name, found=False, text=f"none is connected; {remedy}")
    return Finding(name, found=True, text=", ".join(f"{device.id}: {device.name}" for device in found))


def _cameras() -> list[Device]:
    opencv()  # listing cameras may not need it, but opening one does
    return discovery.cameras()


def _package(name: str, package: str) -> Finding:
    try:
        return Finding(name, found=True, text=f"{package} {version(package)}")
    except PackageNotFoundError:
        remedy = "`pip install 'sensemble-apps[train]'`; a board needs neither"
        return Finding(name, found=False, text=f"{package} is not installed; {remedy}")


def _speech() -> Finding:
    try:
        loader = importlib.import_module("espeakng_loader")
    except ImportError:
        loader = None
    if loader is None or not Path(loader.get_data_path()).is_dir():
        text = "eSpeak NG's data is missing; `pip install espeakng-loader` (only needed to build the digits)"
        return Finding("speech", found=False, text=text)
    try:
        pico = version("ttspico")
    except PackageNotFoundError:
        text = "SVOX Pico is missing; `pip install ttspico` (only needed to build the digits)"
        return Finding("speech", found=False, text=text)
    found = f"eSpeak NG in espeakng-loader {version('espeakng-loader')}, SVOX Pico in ttspico {pico}"
    return Finding("speech", found=True, text=found)
