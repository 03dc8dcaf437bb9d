"""The sensor that a source names: `0` is a camera of a modality of frames, `iio:0` a device of a series."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from threading import Event
from typing import Any

from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Finder
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.spec import InputSpec


def device_of(spec: InputSpec, source: str) -> tuple[type[Any], str]:
    """Return the class of the sensor that captures a spec's modality from `source`, and its own source.

    The class takes the source, a name and the modality. Raises SensorUnavailableError if there is none.
    """
    kind = kind_of(spec)
    for prefix in sorted(kind.devices, key=len, reverse=True):
        if source.startswith(prefix):
            own = source if "://" in prefix else source.removeprefix(prefix)
            return _named(kind.devices[prefix]), own
    known = ", ".join(f"{prefix}..." for prefix in kind.devices) or "none"
    raise SensorUnavailableError(
        f"{spec.modality}={source}: no device of {kind.noun}s is named so; there are {known}"
    )


def finders(specs: Iterable[InputSpec], named: Iterable[tuple[InputSpec, str]] = ()) -> list[Finder]:
    """Return the functions that list the devices here of the kinds of `specs`: cameras, microphones.

    A device gets the modality that has the fewest of them; a source that is `named` already is left out.
    """
    modalities: dict[str, list[str]] = {}
    taken: dict[str, set[str]] = {}
    for spec in specs:
        modalities.setdefault(kind_of(spec).finder, []).append(spec.modality)
    for spec, source in named:
        taken.setdefault(kind_of(spec).finder, set()).add(source)
    return [
        _handing_out(_named(name), names, taken.get(name, set()))
        for name, names in modalities.items()
        if name
    ]


def _handing_out(find: Finder, modalities: Sequence[str], taken: Collection[str]) -> Finder:
    given: dict[str, str] = {}  # the modality of each device, by its key

    def search(stop: Event) -> list[Device]:
        found = [device for device in find(stop) if device.id not in taken and device.key not in taken]
        for device in found:
            if device.key not in given:
                counts = Counter(given.get(other.key) for other in found)
                given[device.key] = min(modalities, key=counts.__getitem__)
        return [replace(device, modality=given[device.key]) for device in found]

    return search


def returning(named: Iterable[tuple[InputSpec, str]]) -> list[Finder]:
    """Return finders of sources that are named, so that a sensor is reopened as soon as its source is back.

    They watch cameras at an address, caption files, pipes and local sockets; others are retried at intervals.
    """
    makers = [(kind_of(spec).watcher(source), source, spec.modality) for spec, source in named]
    return [_named(maker)(source, modality) for maker, source, modality in makers if maker]


def _named(path: str) -> Any:  # noqa: ANN401 - a class or a function
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
