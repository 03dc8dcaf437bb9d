"""The kinds by name: ours, and those of installed packages (`sensemble_sensors.kinds.registry`)."""

from sensemble_sensors.kinds import registry
from sensemble_sensors.spec import InputSpec, Modality

from sensemble_train.models.kinds.frames import Frames
from sensemble_train.models.kinds.kind import Kind
from sensemble_train.models.kinds.series import Series
from sensemble_train.models.kinds.text import Text
from sensemble_train.models.kinds.waveform import Waveform

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Frames(), Series(), Text(), Waveform())}


def kind_of(which: InputSpec | Modality) -> Kind:
    """Return the kind of a spec or modality; one without a class for training is a `series`."""
    if which.kind in KINDS:
        return KINDS[which.kind]
    registry.kind_of(which)
    found: Kind | None = registry.installed(which.kind, "train")
    return found or KINDS["series"]
