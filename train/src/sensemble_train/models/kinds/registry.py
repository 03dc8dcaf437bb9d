"""The kinds by name; `InputSpec.kind` is the key."""

from sensemble_train.models.kinds.frames import Frames
from sensemble_train.models.kinds.kind import Kind
from sensemble_train.models.kinds.series import Series
from sensemble_train.models.kinds.text import Text
from sensemble_train.models.kinds.waveform import Waveform

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Frames(), Series(), Text(), Waveform())}
