"""The kinds by name."""

from sensemble_sensors.errors import SpecError
from sensemble_sensors.kinds.conditions.condition import Condition
from sensemble_sensors.kinds.frames import Frames
from sensemble_sensors.kinds.kind import Kind, TrackKind
from sensemble_sensors.kinds.series import Series
from sensemble_sensors.kinds.text import Text
from sensemble_sensors.kinds.waveform import Waveform
from sensemble_sensors.spec import InputSpec, Modality, kind_name

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Frames(), Series(), Text(), Waveform())}


def kind_of(which: str | InputSpec | Modality) -> Kind:
    """Return a kind by its name, or that of a spec or a dataset's modality.

    Raises SpecError for an unknown one.
    """
    name = which if isinstance(which, str) else which.kind
    if name not in KINDS:
        raise SpecError(f"kind {name!r:.80}: there is none of this name here; there are {', '.join(KINDS)}")
    return KINDS[name]


def condition_of(modality: str, name: str, kind: str = "") -> Condition:
    """Return the condition `name` of a modality, whose kind may be given; KeyError if there is none."""
    return {one.name: one for one in kind_of(kind_name(modality, kind)).conditions}[name]


def track_kind_of(which: str | InputSpec | Modality) -> TrackKind | None:
    """Return a kind if its samples are a track of a media file, otherwise None."""
    kind = kind_of(which)
    return kind if isinstance(kind, TrackKind) else None
