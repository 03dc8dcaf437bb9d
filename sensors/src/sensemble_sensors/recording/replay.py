"""Play dataset examples and media files as the sensors that could have recorded them."""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import chain, repeat
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Self

from sensemble_sensors.clock import REAL, Clock
from sensemble_sensors.errors import (
    BadDataError,
    SensorEndedError,
    SensorLostError,
    SensorsError,
    SensorUnavailableError,
    printable,
)
from sensemble_sensors.kinds.kind import TrackKind
from sensemble_sensors.kinds.registry import kind_of
from sensemble_sensors.media.dataset import Example
from sensemble_sensors.media.decoding import samples, span
from sensemble_sensors.sample_queue import SampleQueue
from sensemble_sensors.sensor import Sample, Sensor
from sensemble_sensors.spec import InputSpec

_WAITING = 32  # samples that wait for a slow reader
_HANDING = 0.5  # seconds that a player waits for a caption to be used
_KNOWN = 1 << 14  # of the examples that were played: whose origins are kept


@dataclass(frozen=True, slots=True)
class Loss:
    """The sensor of `modality` is lost at `time` for `reason`; it can be reopened at once."""

    modality: str
    time: float
    reason: str


class _PlayedSensor:
    """A sensor of a player; like a device, it drops samples that come while it is unplugged.

    The player plugs it in when it hands it out, so that no sample is missed before it is opened.
    """

    played = True

    def __init__(self, name: str, spec: InputSpec) -> None:
        self.modality = spec.modality
        self.name = name
        self._continuous = kind_of(spec).continuous
        self._lock = Lock()
        self._queue: SampleQueue | None = None  # None while unplugged
        self._open = False
        self._over: SensorsError | None = None

    def plug(self) -> None:
        with self._lock:
            if self._queue is None:
                self._queue = SampleQueue(_WAITING, continuous=self._continuous)
                if self._over is not None:
                    self._queue.end(self._over)

    def open(self, spec: InputSpec) -> None:
        if spec.modality != self.modality:
            raise SensorUnavailableError(f"{self.name}: plays {self.modality}, not {spec.modality}")
        self.plug()
        self._open = True

    def read(self, timeout: float) -> Sample | None:
        queue = self._queue
        if queue is None or not self._open:
            raise SensorLostError(f"{self.name}: is unplugged")
        return queue.get(timeout)

    def close(self) -> None:
        with self._lock:
            if self._queue is not None:
                self._queue.end(SensorLostError(f"{self.name}: is unplugged"))
            self._queue = None
            self._open = False

    def put(self, sample: Sample) -> None:
        with self._lock:
            if self._queue is not None:
                self._queue.put(sample)

    def wait_until_used(self) -> None:
        """Wait until the reader, if there is one, has used all samples so far."""
        with self._lock:
            queue = self._queue if self._open else None
        if queue is not None:
            queue.wait_until_used(_HANDING)

    def end(self, error: SensorsError, *, for_good: bool) -> None:
        with self._lock:
            self._over = error if for_good else None
            if self._queue is not None:
                self._queue.end(error)


class Player(ABC):
    """Plays a stream of samples in real time, from one thread, through one sensor per modality.

    Overdue samples go out at once. No window waits for a caption, so the samples after one wait until it has
    been used: it is always pooled. To close a sensor and open it again is to unplug it and plug it back in. A
    context manager.
    """

    def __init__(self, name: str, specs: Mapping[str, InputSpec]) -> None:
        self.modalities = tuple(sorted(specs))
        self._name = name
        self._clock: Clock = REAL
        self._specs = specs
        self._sensors = {
            modality: _PlayedSensor(f"{name} {modality}", spec) for modality, spec in specs.items()
        }
        self._stop = Event()
        self._thread = Thread(target=self._play, name=name, daemon=True)
        self._bad: BadDataError | None = None

    @abstractmethod
    def _stream(self, origin: float) -> Iterator[Sample | Loss]:
        """Yield samples and losses in the order of their times, from `origin` on."""

    def sensor(self, modality: str) -> Sensor:
        """Return the sensor of `modality`, which ends after its last sample, or SensorUnavailableError."""
        if modality not in self._sensors:
            raise SensorUnavailableError(
                f"{self._name}: has no {modality}; it plays {', '.join(self.modalities)}"
            )
        self._sensors[modality].plug()
        return self._sensors[modality]

    def start(self, clock: Clock = REAL) -> None:
        """Start playing by a clock; call it once."""
        self._clock = clock
        self._thread.start()

    def close(self) -> None:
        """Stop playing and wait for the thread; BadDataError if a file could not be decoded."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._bad is not None:
            raise self._bad

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _play(self) -> None:
        over = SensorEndedError(f"{self._name}: all is played")
        try:
            for item in self._stream(self._clock.now()):
                if self._clock.wait(self._stop, item.time - self._clock.now()):
                    break
                sensor = self._sensors[item.modality]
                if isinstance(item, Loss):
                    sensor.end(SensorLostError(f"{sensor.name}: {item.reason}"), for_good=False)
                else:
                    sensor.put(item)
                    if not kind_of(self._specs[item.modality]).steady:
                        sensor.wait_until_used()
        except BadDataError as error:
            self._bad = error
        except BaseException as error:  # noqa: BLE001 - otherwise the reader would wait for ever
            self._bad = BadDataError(f"{self._name}: cannot be played ({type(error).__name__}: {error})")
            self._bad.__cause__ = error
        if self._bad is not None:
            over = SensorEndedError(f"{self._name}: stopped: {self._bad}")
        for sensor in self._sensors.values():
            sensor.end(over, for_good=True)


class Replay(Player):
    """Plays dataset examples one after another, each for `span(specs)` seconds; for ever if `repeated`."""

    def __init__(
        self, examples: Sequence[Example], specs: Mapping[str, InputSpec], *, repeated: bool = False
    ) -> None:
        super().__init__("replay", specs)
        self._examples = examples
        self._repeated = repeated
        self._played: deque[tuple[float, Example]] = deque(maxlen=_KNOWN)  # by origin

    def example_at(self, time: float) -> Example | None:
        """Return the example of a sample of this time, its last moment included; None before and after."""
        time -= 1e-6  # one that was computed from ages may be off by rounding
        played = tuple(self._played)
        index = bisect_left(played, time, key=lambda item: item[0]) - 1
        if index < 0 or time > played[index][0] + span(self._specs):
            return None
        return played[index][1]

    def _stream(self, origin: float) -> Iterator[Sample]:
        rounds = repeat(self._examples) if self._repeated else (self._examples,)
        for example in chain.from_iterable(rounds):
            self._played.append((origin, example))
            yield from samples(example, self._specs, origin)
            origin += span(self._specs)


class MediaReplay(Player):
    """Plays the tracks of a media file, aligned by their times; BadDataError if it has none of `specs`."""

    def __init__(self, path: Path | str, specs: Mapping[str, InputSpec]) -> None:
        from sensemble_sensors.codecs.tracks import track_titles

        path = Path(path)
        titles = track_titles(path)
        all_kinds = {m: kind_of(spec) for m, spec in sorted(specs.items())}
        every = {m: k for m, k in all_kinds.items() if isinstance(k, TrackKind) and k.track in titles}
        alike = [[m for m in every if every[m] is kind] for kind in dict.fromkeys(every.values())]
        # Without titles, a track plays as the first modality of its kind.
        played = {m for some in alike for m in ([m for m in some if m in titles[every[m].track]] or some[:1])}
        kinds = {m: kind for m, kind in every.items() if m in played}
        super().__init__(printable(path.name), {m: specs[m] for m in kinds})
        if not kinds:
            raise BadDataError(f"{path}: has no {' or '.join(sorted(specs))} track; name another file")
        self._path = path
        self._kinds = kinds

    def _stream(self, origin: float) -> Iterator[Sample]:
        streams = (kind.play(self._path, self._specs[m], origin) for m, kind in self._kinds.items())
        return merge(*streams, key=lambda sample: sample.time)
