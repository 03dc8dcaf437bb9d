"""The kinds by name, and the kind of a modality."""

from sensemble_sensors.kinds.conditions.condition import Condition
from sensemble_sensors.kinds.frames import Frames
from sensemble_sensors.kinds.kind import Kind, TrackKind
from sensemble_sensors.kinds.text import Text
from sensemble_sensors.kinds.waveform import Waveform
from sensemble_sensors.spec import kind_name

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Frames(), Text(), Waveform())}


def kind_of(modality: str) -> Kind:
    """Return the kind of `modality`; KeyError for an unknown one."""
    return KINDS[kind_name(modality)]


def condition_of(modality: str, name: str) -> Condition:
    """Return the condition `name` that sensors of `modality` have; KeyError if there is none."""
    return {condition.name: condition for condition in kind_of(modality).conditions}[name]


def track_kind_of(modality: str) -> TrackKind | None:
    """Return the kind of `modality` if its samples are a track of a media file, otherwise None."""
    kind = kind_of(modality)
    return kind if isinstance(kind, TrackKind) else None
