"""The sensor that a source names: `0` is a camera of a modality of frames, `iio:0` a device of a series."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

from sensemble_sensors.devices.discovery import Device
from sensemble_sensors.devices.watcher import Finder
from sensemble_sensors.errors import SensorUnavailableError
from sensemble_sensors.libraries import plugin
from sensemble_sensors.spec import InputSpec

GROUP = "sensemble.devices"
"""The entry points of devices: KIND for all sources of a kind's modalities, or KIND.SCHEME for `SCHEME:...`.

An entry is the class of a `Sensor`. It is called with the source (of `SCHEME:...` only what follows, but the
whole of an address `SCHEME://...`), a name and the modality, and may have:

- `native`: true if its driver may hang or end the process, and so gets its own process;
- `present(stop)`: the `Finder` of the devices here;
- `watch(source, modality)`: the `Finder` of one source, None for a source that is not watched.
"""


def device_of(spec: InputSpec, source: str) -> tuple[type[Any], str]:
    """Return the class of the sensor for `source`, and the source that it is called with (see `GROUP`).

    Raises SensorUnavailableError if no device is installed for it.
    """
    scheme, _, rest = source.partition(":")
    if device := _installed(f"{spec.kind}.{scheme}"):
        return device, source if rest.startswith("//") else rest
    if device := _installed(spec.kind):
        return device, source
    raise SensorUnavailableError(
        f"{spec.modality}={source}: no device of the kind {spec.kind} is installed; install a package that "
        f"has one as its entry point in {GROUP}"
    )


def _installed(name: str) -> type[Any] | None:
    return plugin(GROUP, name, SensorUnavailableError)


def finders(specs: Iterable[InputSpec], named: Iterable[tuple[InputSpec, str]] = ()) -> list[Finder]:
    """Return the functions that list the devices here of the kinds of `specs`, but not those `named`.

    A device gets the modality that has the fewest of them.
    """
    modalities: dict[Finder, list[str]] = {}
    used: dict[Finder | None, set[str]] = {}
    for spec in specs:
        if find := _present(spec):
            modalities.setdefault(find, []).append(spec.modality)
    for spec, source in named:
        used.setdefault(_present(spec), set()).add(source)
    return [_handing_out(find, names, used.get(find, set())) for find, names in modalities.items()]


def _present(spec: InputSpec) -> Finder | None:
    find: Finder | None = getattr(_installed(spec.kind), "present", None)
    return find


def _handing_out(find: Finder, modalities: Sequence[str], used: Collection[str]) -> Finder:
    given: dict[str, str] = {}  # the modality of each device, by its key

    def search(stop: Event) -> list[Device]:
        here = [device for device in find(stop) if device.id not in used and device.key not in used]
        for device in here:
            if device.key not in given:
                counts = Counter(given.get(other.key) for other in here)
                given[device.key] = min(modalities, key=counts.__getitem__)
        return [replace(device, modality=given[device.key]) for device in here]

    return search


def returning(named: Iterable[tuple[InputSpec, str]]) -> list[Finder]:
    """Return finders of sources that are named, so that a sensor is reopened as soon as its source is back.

    They watch cameras at an address, caption files, pipes and local sockets; others are retried at intervals.
    """
    watched = []
    for spec, source in named:
        device, own = device_of(spec, source)
        if (watch := getattr(device, "watch", None)) and (find := watch(own, spec.modality)):
            watched.append(find)
    return watched
