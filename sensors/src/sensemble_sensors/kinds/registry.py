"""The kinds by name: ours, and those of installed packages."""

from functools import lru_cache
from typing import Any

from sensemble_sensors.errors import SpecError
from sensemble_sensors.kinds.conditions.condition import Condition
from sensemble_sensors.kinds.frames import Frames
from sensemble_sensors.kinds.kind import Kind
from sensemble_sensors.kinds.series import Series
from sensemble_sensors.kinds.text import Text
from sensemble_sensors.kinds.waveform import Waveform
from sensemble_sensors.libraries import plugin
from sensemble_sensors.spec import InputSpec, Modality, kind_name

# The entry points of kinds, each by the kind's name. Its module may have the functions or classes `sensors`,
# `train` and `apps`, which make what the kind supplies there.
GROUP = "sensemble.kinds"

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Frames(), Series(), Text(), Waveform())}


def kind_of(which: str | InputSpec | Modality) -> Kind:
    """Return a kind by its name, or that of a spec or modality; raise SpecError for an unknown one."""
    name = which if isinstance(which, str) else which.kind
    kind: Kind | None = KINDS.get(name) or installed(name, "sensors")
    if kind is None:
        raise SpecError(f"kind {name!r:.80}: there is none of this name here; there are {', '.join(KINDS)}")
    return kind


@lru_cache(256)
def installed(kind: str, room: str) -> Any | None:  # noqa: ANN401 - of the room's own type
    """Return an installed package's part of a kind, for `sensors`, `train` or `apps`; None without one."""

    def part(module: Any) -> Any | None:  # noqa: ANN401 - whatever a package names
        make = getattr(module, room, None)
        return None if make is None else make()

    return plugin(GROUP, kind, SpecError, part, kind=object)


def condition_of(modality: str, name: str, kind: str = "") -> Condition:
    """Return the condition `name` of a modality, whose kind may be given; KeyError if there is none."""
    return {one.name: one for one in kind_of(kind_name(modality, kind)).conditions}[name]
