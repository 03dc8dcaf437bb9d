"""The sensor that a source names: `0` is a camera of a modality of frames, `iio:0` a device of a series."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

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


def finders(specs: Iterable[InputSpec]) -> list[Finder]:
    """Return the functions that list the devices here of the kinds of `specs`: cameras, microphones."""
    names = dict.fromkeys(kind_of(spec).finder for spec in specs)
    return [_named(name) for name in names if name]


def returning(named: Iterable[tuple[InputSpec, str]]) -> list[Finder]:
    """Return finders of sources that are named, so that a sensor is reopened as soon as its source is back.

    They watch cameras at an address, caption files, pipes and local sockets; others are retried at intervals.
    """
    makers = [(kind_of(spec).watcher(source), source, spec.modality) for spec, source in named]
    return [_named(maker)(source, modality) for maker, source, modality in makers if maker]


def _named(path: str) -> Any:  # noqa: ANN401 - a class or a function
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
