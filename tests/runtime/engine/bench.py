"""A bench for an engine: readers and encoders that do what it orders when a test says so, in made-up time."""

from dataclasses import replace
from typing import Any

import numpy as np
from sensemble_runtime.bundle.bundle import Bundle
from sensemble_runtime.bundle.manifest import Calibration
from sensemble_runtime.engine.engine import EncodeOrder, Engine, FreeOrder
from sensemble_runtime.engine.live_set import PoppedWindow, WindowEmbedding
from sensemble_runtime.engine.scheduler import Policy
from sensemble_runtime.prediction import Prediction
from sensemble_sensors.errors import SensorEndedError, SensorLostError
from sensemble_sensors.sensor import Sample
from sensemble_sensors.spec import InputSpec
from sensemble_sensors.supervision.events import STATES, Event
from sensemble_sensors.supervision.suite import ReaderOrder, UsedSample
from sensemble_sensors.thresholds import Thresholds

from tests.runtime.engine.script import HEAD, bundle

SPECS = {
    "audio": InputSpec("audio", "float32", (1, 1600), rate=16000, window=0.1, hop=0.05, ttl=1.0),
    "text": InputSpec("text", "int64", (1, 6), rate=0, window=0, hop=0, ttl=2.0),
    "video": InputSpec("video", "uint8", (1, 2, 8, 8, 3), rate=10, window=0.2, hop=0.1, ttl=1.0),
}
# What the order makes of a reader, and when it may come.
ORDERS = {
    "open": ("opening", ("idle",)),
    "close": ("closing", ("opening", "reading", "paused", "closing")),
    "pause": ("paused", ("reading",)),
    "resume": ("reading", ("paused",)),
    "end": ("over", ("idle", "opening", "reading", "paused", "closing", "ended")),
}


def head_alone() -> Bundle:
    """Return a bundle of three modalities without encoders, to which nothing is unfamiliar."""
    return bundle(replace(HEAD, familiarity=None), Calibration(0.05, 0.6, 100, 0.0, {}, {}), SPECS)


class Bench:
    """An engine and its surroundings.

    Attributes:
        now: the time.
        items: the predictions and events so far.
        readers: by key, the state of each reader, as of `ORDERS`.
        names: by key, the name of each sensor.
        windows: by modality, the window that is being encoded.
        active: by modality, the sensor that gave the last sample that was used.
    """

    def __init__(self, policy: Policy | None = None, health: Thresholds | None = None) -> None:
        self.engine = Engine(head_alone(), policy, health=health)
        self.now = 100.0
        self.items: list[Prediction | Event] = []
        self.readers: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.modalities: dict[int, str] = {}
        self.windows: dict[str, PoppedWindow] = {}
        self.active: dict[str, str] = {}
        self.freed: list[str] = []
        self._noise = np.random.default_rng(0)

    # Inputs.

    def tell(self, act: str, *news: Any, **more: Any) -> Any:  # noqa: ANN401 - of any input
        """Give the engine an input, and handle what follows."""
        if act == "encoded":
            modality, label = news
            answer = self.engine.encoded(self._embedded(self.windows.pop(modality), label), self.now)
        else:
            answer = getattr(self.engine, act)(*news, self.now, **more)
        self.advance()
        return answer

    def attach(self, modality: str, name: str = "", *, played: bool = False, open_now: bool = True) -> int:
        key = len(self.readers)
        self.readers[key], self.modalities[key] = "idle", modality
        self.names[key] = self.tell("attach", key, modality, name or modality, played=played)
        if open_now:
            self.open(key)
        return key

    def open(self, key: int) -> None:
        self.readers[key] = "reading"
        self.tell("opened", key)
        self.tell("ready", key)

    def give(self, key: int, data: Any = None, at: float | None = None) -> None:  # noqa: ANN401 - or of no kind
        """Give a hop of sound, a picture or a caption."""
        modality, hop = self.modalities[key], {"audio": (800,), "video": (8, 8, 3)}
        if data is None and modality == "text":
            data = "one"
        elif data is None:
            noise = self._noise.integers(60, 200, hop[modality])
            data = noise.astype(np.uint8) if modality == "video" else (noise / 1000).astype(np.float32)
        self.tell("gave", key, Sample(modality, data, self.now if at is None else at))

    def give_window(self, key: int) -> None:
        """Give what completes a window now."""
        for before in (SPECS[self.modalities[key]].hop, 0.0):
            self.give(key, at=self.now - before)

    def fail(self, key: int, error: BaseException | None = None) -> None:
        self.readers[key] = "closing"
        self.tell("failed", key, error or SensorLostError("gone"))
        self.close(key)

    def end(self, key: int) -> None:
        self.readers[key] = "ended"
        self.tell("failed", key, SensorEndedError("over"))
        self.tell("closed", key)

    def close(self, key: int) -> None:
        if self.readers[key] == "closing":
            self.readers[key] = "idle"
            self.tell("closed", key)

    def encode(self, modality: str, label: int = 0) -> None:
        """Let an encoder finish."""
        self.tell("encoded", modality, label)

    def encode_all(self, label: int = 0) -> None:
        while self.windows:
            self.encode(min(self.windows), label)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (due := self.engine.deadline()) is not None and due < until:
            assert due > self.now, "no deadline has passed"
            self.now = due
            self.advance()
        self.now = until
        self.advance()

    # Outputs.

    def of(self, name: str) -> list[tuple[str, str]]:
        """Return the kind and the reason of each event of a sensor."""
        return [(i.kind, i.text) for i in self.events if i.kind in STATES and i.sensor == name]

    def kinds(self, name: str) -> list[str]:
        return [kind for kind, _ in self.of(name)]

    @property
    def predictions(self) -> list[Prediction]:
        return [item for item in self.items if isinstance(item, Prediction)]

    @property
    def events(self) -> list[Event]:
        return [item for item in self.items if isinstance(item, Event)]

    @property
    def live(self) -> list[tuple[str, ...]]:
        """The live sets that were reported."""
        return [event.live for event in self.events if event.kind == "live"]

    @property
    def retries(self) -> dict[str, float]:
        """When each sensor that waits for that is tried again, by name."""
        return {one.name: one.retry_at for one in self.engine.sensors if one.retry_at is not None}

    def advance(self) -> None:
        for output in self.engine.advance(self.now):
            if isinstance(output, ReaderOrder):
                after, before = ORDERS[output.act]
                assert self.readers[output.key] in before
                self.readers[output.key] = after
            elif isinstance(output, EncodeOrder):
                assert output.window.modality not in self.windows, "one at a time"
                self.windows[output.window.modality] = output.window
                self.ordered(output.window)
            elif isinstance(output, UsedSample):
                self.active[output.sample.modality] = output.name
            elif isinstance(output, FreeOrder):
                self.freed.append(output.modality)
            else:
                self.items.append(output)
                self.reported(output)

    def ordered(self, window: PoppedWindow) -> None:
        """Note an order to encode."""

    def reported(self, item: Prediction | Event) -> None:
        """Note a prediction or an event."""

    def _embedded(self, popped: PoppedWindow, label: int) -> WindowEmbedding:
        embedding = np.asarray(4 * np.eye(8)[label], np.float32)
        name, end = popped.sensor, popped.window.time
        return WindowEmbedding(popped.modality, name, embedding, end, 0.001, popped.ring, False, None)
