"""Drive an engine in virtual time: for a replay as fast as the encoders allow, and for tests."""

from collections.abc import Iterator, Sequence
from itertools import count

from sensemble_sensors.errors import SensorEndedError
from sensemble_sensors.kinds.conditions.condition import Applied
from sensemble_sensors.sensor import Sample
from sensemble_sensors.supervision.events import Event

from sensemble_runtime.adapting.adapter import Adapter
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.engine.engine import EncodeOrder, Engine, FreeOrder
from sensemble_runtime.engine.live_set import PoppedWindow
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.engine.view import View
from sensemble_runtime.prediction import Prediction
from sensemble_runtime.session.window_encoder import WindowEncoder


class VirtualSession:
    """A session whose sensors and encoders take no time, with one sensor of each modality.

    Equal input gives equal predictions. Times are given, in order. The arguments are those of `Session`.
    """

    def __init__(
        self,
        bundle: Bundle,
        policy: Policy | None = None,
        conditions: Sequence[Applied] = (),
        adapt: Adapter | None = None,
    ) -> None:
        policy = policy or Policy()
        self.engine = Engine(bundle, policy, adapt, conditions=conditions)
        self._encode, self._free = WindowEncoder(bundle, policy), bundle.unload
        self._keys = count()
        self._now = 0.0
        self._attached: dict[str, tuple[int, str]] = {}  # by modality, the key and the name of its sensor

    @property
    def attached(self) -> set[str]:
        """The modalities with a sensor."""
        return {*self._attached}

    def plug(self, modality: str, name: str, now: float) -> None:
        """Attach and open the sensor of a modality."""
        key = next(self._keys)
        self._attached[modality] = key, self.engine.attach(key, modality, name, now, played=True)
        self.engine.opened(key, now)
        self.engine.ready(key, now)

    def unplug(self, modality: str, now: float) -> None:
        """Detach the sensor of a modality, if it has one."""
        if modality in self._attached:
            _, name = self._attached.pop(modality)
            self.engine.detach(name, now)

    def end(self, modality: str, now: float) -> None:
        """End the sensor of a modality, if it has one: its last answer still counts."""
        if modality in self._attached:
            key, name = self._attached.pop(modality)
            self.engine.failed(key, SensorEndedError(f"{name}: all is played"), now)

    def give(self, sample: Sample, now: float) -> None:
        """Give a sample of a plugged sensor."""
        self.engine.gave(self._attached[sample.modality][0], sample, now)

    def view(self) -> View:
        """Return the session at the time up to which it advanced."""
        return self.engine.view(self._now)

    def advance(self, now: float) -> Iterator[Prediction | Event]:
        """Let time pass up to `now`; yield what is said until then."""
        while (due := self.engine.deadline()) is not None and due < now:
            yield from self._run(due)
        yield from self._run(now)

    def _run(self, now: float) -> Iterator[Prediction | Event]:
        self._now = now
        windows: list[PoppedWindow] | None = None
        while windows is None or windows:
            windows = []
            for output in self.engine.advance(now):
                if isinstance(output, EncodeOrder):
                    windows.append(output.window)
                elif isinstance(output, FreeOrder):
                    self._free(output.modality)
                elif isinstance(output, Prediction | Event):
                    yield output
            for window in windows:
                self.engine.encoded(self._encode(window), now)
